package smartlb.report;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signs messages: HMAC-SHA-256 over topic, key, value and time. */
final class SigningKey {
    static final String HEADER = "smartlb-signature";
    private static final String VERSION = "v1";

    private final String id;
    private final SecretKeySpec secret;

    SigningKey(String id, String secret) {
        if (id == null || !id.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")) {
            throw new IllegalArgumentException("signingKey: the id is not 1 to 64 letters, digits, dots, dashes and underscores");
        }
        byte[] bytes = secret == null ? new byte[0] : secret.getBytes(StandardCharsets.UTF_8);
        if (bytes.length < 32) {
            throw new IllegalArgumentException("signingKey: the secret has fewer than 32 characters");
        }
        this.id = id;
        this.secret = new SecretKeySpec(bytes, "HmacSHA256");
    }

    /** Returns the value of the header that signs a record. */
    byte[] header(String topic, byte[] key, byte[] value, long timeMs) {
        Mac mac;
        try {
            mac = Mac.getInstance("HmacSHA256");
            mac.init(secret);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e); // each Java has this algorithm
        }
        for (byte[] part : new byte[][] {utf8(HEADER), utf8(VERSION), utf8(id), utf8(topic), key, value}) {
            mac.update(uint64(part.length)); // each part has its length before it
            mac.update(part);
        }
        return utf8(VERSION + " " + id + " " + timeMs + " " + HexFormat.of().formatHex(mac.doFinal(uint64(timeMs))));
    }

    private static byte[] utf8(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] uint64(long v) {
        return ByteBuffer.allocate(8).putLong(v).array();
    }
}
