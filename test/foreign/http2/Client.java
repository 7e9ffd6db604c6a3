import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.io.FileInputStream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Client CA URL ...: GET and POST to each URL with java.net.http in its default settings. Prints the version and the status of each. */
class Client {
	public static void main(String[] args) throws Exception {
		KeyStore trust = KeyStore.getInstance(KeyStore.getDefaultType());
		trust.load(null, null);
		try (FileInputStream pem = new FileInputStream(args[0])) {
			trust.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
		}
		TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		managers.init(trust);
		SSLContext tls = SSLContext.getInstance("TLS");
		tls.init(null, managers.getTrustManagers(), null);
		HttpClient client = HttpClient.newBuilder().sslContext(tls).build();
		String body = "x".repeat(300_000);
		for (int i = 1; i < args.length; i++) {
			URI uri = URI.create(args[i]);
			for (HttpRequest r : new HttpRequest[] {
				HttpRequest.newBuilder(uri).build(),
				HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofString(body)).build(),
			}) {
				HttpResponse<String> got = client.send(r, HttpResponse.BodyHandlers.ofString());
				System.out.println(uri.getScheme() + " " + r.method() + " " + got.version() + " " + got.statusCode() + " " + got.body().length());
			}
		}
	}
}
