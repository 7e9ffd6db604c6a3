package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestOnlyNamesOfSecretsAreTaken(t *testing.T) {
	for _, row := range []struct {
		ref Ref
		ok  bool
	}{
		{"", true}, {"${env:KAFKA_PASSWORD}", true}, {"${file:/run/secrets/kafka}", true},
		{"${credential:kafka-password}", true}, {"${credential:../a}", false}, {"${credential:/a}", false}, {"${credential:.}", false},
		{"hunter2", false}, {"${env:}", false}, {"${env:A B}", false}, {"${file:relative}", false},
		{"${vault:x}", false}, {"${env:A}x", false}, {"$A", false}, {"${env:A}${env:B}", false},
	} {
		if err := row.ref.Check(); (err == nil) != row.ok || (err != nil && !errors.Is(err, ErrLiteral)) {
			t.Errorf("%q gives %v", string(row.ref), err)
		}
	}
}

func TestALiteralSecretIsNeverPrinted(t *testing.T) {
	r := Ref("hunter2")
	j, err := json.Marshal(map[string]any{"password": r})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{string(j), fmt.Sprint(r), fmt.Sprintf("%v %+v %#v %s %q", r, r, r, r, r), fmt.Sprintf("%+v", struct{ P Ref }{r}), r.Check().Error()} {
		if strings.Contains(got, "hunter2") {
			t.Errorf("printed as %s", got)
		}
	}
}

func TestACredentialWithoutItsUnitSaysWhatIsMissing(t *testing.T) {
	_, err := Ref("${credential:key}").Resolve(func(string) string { return "" }, func(string) ([]byte, error) { return []byte("x"), nil })
	if err == nil || !strings.Contains(err.Error(), "LoadCredential=key:") {
		t.Errorf("says %v", err)
	}
}

func TestSecretsAreReadWhereTheyAreNamed(t *testing.T) {
	getenv := func(n string) string {
		return map[string]string{"A": "from the variable", "CREDENTIALS_DIRECTORY": "/run/credentials/x.service"}[n]
	}
	read := func(p string) ([]byte, error) {
		switch p {
		case "/a":
			return []byte("from the file\n"), nil
		case "/run/credentials/x.service/a":
			return []byte("from the unit\n"), nil
		}
		return nil, fs.ErrNotExist
	}
	for _, row := range []struct{ ref, want, err string }{
		{"${env:A}", "from the variable", ""},
		{"${env:B}", "", "B is not set"},
		{"${file:/a}", "from the file", ""},
		{"${file:/b}", "", "not exist"},
		{"${credential:a}", "from the unit", ""},
		{"${credential:b}", "", "not exist"},
		{"literal", "", "not written here"},
	} {
		got, err := Ref(row.ref).Resolve(getenv, read)
		if got != row.want || (row.err == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), row.err)) {
			t.Errorf("%s gives %q, %v", row.ref, got, err)
		}
	}
}
