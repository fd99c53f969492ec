import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Writes v1.json: cookies of format aes-gcm, good and bad, made by the JDK's own AES.
 *
 * <p>The product uses OpenSSL; nothing of it is here. Keys and IVs are made from their names, so the output is always
 * the same: java tests/vectors/MakeV1.java > tests/vectors/v1.json
 */
public final class MakeV1 {
    private static final byte VERSION = 1;
    private static final int IV_BYTES = 12;
    private static final int TAG_BYTES = 16;

    private static final byte[] KEY = digest("key in use");
    private static final byte[] PREVIOUS_KEY = digest("previous key");
    private static final byte[] FOREIGN_KEY = digest("key of somebody else");

    private static final String UUID = "9b0e6c1f-52d4-4e7a-8f3b-c61d07a5e294";
    private static final String CSRF = "tQ3vZr8KxW1nPb6LyD0sFh9MgUe4JcAo7iTkR2mXqVwN5BfHzS8aEdYuGp1LjC6K";
    private static final String EVERY_CHARACTER =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/==";

    private record Good(String name, String plaintext, List<byte[]> keys, String sealed) {}

    private record Bad(String name, String defect, String sealed) {}

    public static void main(String[] arguments) throws GeneralSecurityException {
        System.out.println("{\n \"good\": [");
        System.out.println(good().stream().map(MakeV1::json).collect(Collectors.joining(",\n")));
        System.out.println(" ],\n \"bad\": {\n  \"keys\": " + json(List.of(KEY)) + ",\n  \"cookies\": [");
        System.out.println(bad().stream().map(MakeV1::json).collect(Collectors.joining(",\n")));
        System.out.println("  ]\n }\n}");
    }

    private static List<Good> good() throws GeneralSecurityException {
        List<byte[]> one = List.of(KEY);
        List<byte[]> two = List.of(KEY, PREVIOUS_KEY);
        return List.of(
                new Good("a UUID", UUID, one, value(sealed(KEY, UUID))),
                new Good("a CSRF value", CSRF, one, value(sealed(KEY, CSRF))),
                new Good("a JWT", jwt(), one, value(sealed(KEY, jwt()))),
                new Good("a single character", "x", one, value(sealed(KEY, "x"))),
                new Good("every character of a token", EVERY_CHARACTER, one, value(sealed(KEY, EVERY_CHARACTER))),
                new Good("under the key in use, of two", UUID, two, value(sealed(KEY, UUID))),
                new Good("under the previous key", UUID, two, value(sealed(PREVIOUS_KEY, UUID))));
    }

    private static List<Bad> bad() throws GeneralSecurityException {
        List<Bad> cookies = new ArrayList<>(misspelt());
        cookies.addAll(cutOrGrown());
        cookies.addAll(tampered());
        cookies.addAll(noTokens());
        return cookies;
    }

    private static List<Bad> misspelt() throws GeneralSecurityException {
        String sealed = value(sealed(KEY, UUID));
        String standard = Base64.getEncoder().withoutPadding().encodeToString(sealed(KEY, UUID));
        // The last character of 65 bytes holds two bits that mean nothing.
        char last = sealed.charAt(sealed.length() - 1);
        String other = sealed.substring(0, sealed.length() - 1) + (char) (last + 1);
        return List.of(
                malformed("empty", ""),
                malformed("padded", sealed + "="),
                malformed("in the standard alphabet", standard),
                malformed("another last character of the same bytes", other),
                malformed("a newline at the end", sealed + "\n"),
                malformed("a newline inside", sealed.substring(0, 40) + "\n" + sealed.substring(40)),
                malformed("in quotes", "\"" + sealed + "\""),
                malformed("padding escaped for a URL", sealed + "%3D"));
    }

    private static List<Bad> cutOrGrown() throws GeneralSecurityException {
        byte[] raw = sealed(KEY, UUID);
        byte[] empty = sealed(KEY, "");
        byte[] rest = Arrays.copyOfRange(raw, 1, raw.length);
        return List.of(
                malformed("29 bytes, an empty text sealed well", value(empty)),
                malformed("cut off before the tag ends, below 30 bytes", value(Arrays.copyOf(raw, 29))),
                malformed("only the version", value(Arrays.copyOf(raw, 1))),
                malformed("without the version", value(rest)),
                undecryptable("truncated by one byte", value(Arrays.copyOf(raw, raw.length - 1))),
                undecryptable("truncated to the shortest length", value(Arrays.copyOf(raw, 30))),
                undecryptable("without its tag", value(Arrays.copyOf(raw, raw.length - TAG_BYTES))),
                undecryptable("one byte more", value(Arrays.copyOf(raw, raw.length + 1))),
                undecryptable("a tag of 12 bytes", value(sealed(KEY, iv(UUID), utf8(UUID), 12, new byte[0]))));
    }

    private static List<Bad> tampered() throws GeneralSecurityException {
        byte[] raw = sealed(KEY, UUID);
        byte[] zeroIv = raw.clone();
        Arrays.fill(zeroIv, 1, 1 + IV_BYTES, (byte) 0);
        byte[] zeroTag = raw.clone();
        Arrays.fill(zeroTag, raw.length - TAG_BYTES, raw.length, (byte) 0);
        return List.of(
                malformed("one bit of the version flipped", value(flipped(raw, 0))),
                undecryptable("one bit of the IV flipped", value(flipped(raw, 1))),
                undecryptable("one bit of the text flipped", value(flipped(raw, 1 + IV_BYTES))),
                undecryptable("one bit of the tag flipped", value(flipped(raw, raw.length - 1))),
                malformed("version 0", value(withVersion(raw, 0))),
                malformed("version 2", value(withVersion(raw, 2))),
                malformed("version 255", value(withVersion(raw, 255))),
                undecryptable("the IV zero, with the tag of another", value(zeroIv)),
                undecryptable("the tag zero", value(zeroTag)),
                undecryptable("under the key of somebody else", value(sealed(FOREIGN_KEY, UUID))),
                undecryptable("under the previous key, which is no longer held", value(sealed(PREVIOUS_KEY, UUID))),
                undecryptable("bound to a name", value(sealed(KEY, iv(UUID), utf8(UUID), TAG_BYTES, utf8("name")))));
    }

    private static List<Bad> noTokens() throws GeneralSecurityException {
        byte[] notUtf8 = {'a', (byte) 0xff, (byte) 0xfe, 'b'};
        return List.of(
                malformed("not a token: CR and LF in it", value(sealed(KEY, UUID + "\r\nx-user: admin"))),
                malformed("not a token: a newline at its end", value(sealed(KEY, UUID + "\n"))),
                malformed("not a token: a blank in it", value(sealed(KEY, UUID + " " + UUID))),
                malformed("not a token: a comma in it", value(sealed(KEY, UUID + "," + UUID))),
                malformed("not a token: a NUL in it", value(sealed(KEY, UUID + "\0"))),
                malformed("not a token: a letter that is not ASCII", value(sealed(KEY, "caf\u00e9"))),
                malformed("not a token: not UTF-8", value(sealed(KEY, iv("raw"), notUtf8, TAG_BYTES, new byte[0]))),
                malformed("not a token: JSON", value(sealed(KEY, "{\"at\":\"" + UUID + "\"}"))));
    }

    /** 907 characters, the size of an ordinary JWT: signed by nobody. */
    private static String jwt() {
        String claims = "{\"iss\":\"https://login.example.com\",\"sub\":\"ada\",\"aud\":\"api\",\"scope\":\"";
        String scope = IntStream.range(0, 200).mapToObj(number -> "s" + number).collect(Collectors.joining(" "));
        claims = (claims + scope).substring(0, 574) + "\"}";
        return value(utf8("{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"))
                + "." + value(utf8(claims)) + "." + value(digest("r"), digest("s"));
    }

    private static byte[] sealed(byte[] key, String text) throws GeneralSecurityException {
        return sealed(key, iv(text), utf8(text), TAG_BYTES, new byte[0]);
    }

    private static byte[] sealed(byte[] key, byte[] iv, byte[] text, int tagBytes, byte[] associated)
            throws GeneralSecurityException {
        // SunJCE by name: a cipher of the machine's own would be no independent witness.
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding", "SunJCE");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(8 * tagBytes, iv));
        cipher.updateAAD(associated);
        return joined(new byte[] {VERSION}, iv, cipher.doFinal(text));
    }

    private static byte[] iv(String text) {
        return Arrays.copyOf(digest("iv of " + text), IV_BYTES);
    }

    private static byte[] flipped(byte[] raw, int at) {
        byte[] changed = raw.clone();
        changed[at] ^= 1;
        return changed;
    }

    private static byte[] withVersion(byte[] raw, int version) {
        byte[] changed = raw.clone();
        changed[0] = (byte) version;
        return changed;
    }

    private static byte[] digest(String name) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(utf8("envoy-token-handler test vector v1 " + name));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static byte[] joined(byte[]... parts) {
        byte[] whole = new byte[Stream.of(parts).mapToInt(part -> part.length).sum()];
        int at = 0;
        for (byte[] part : parts) {
            System.arraycopy(part, 0, whole, at, part.length);
            at += part.length;
        }
        return whole;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String value(byte[]... parts) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(joined(parts));
    }

    private static Bad malformed(String name, String sealed) {
        return new Bad(name, "malformed_cookie", sealed);
    }

    private static Bad undecryptable(String name, String sealed) {
        return new Bad(name, "undecryptable_cookie", sealed);
    }

    private static String json(Good cookie) {
        return "  {\n   \"name\": " + json(cookie.name()) + ",\n   \"keys\": " + json(cookie.keys())
                + ",\n   \"plaintext\": " + json(cookie.plaintext()) + ",\n   \"sealed\": " + json(cookie.sealed())
                + "\n  }";
    }

    private static String json(Bad cookie) {
        return "   {\n    \"name\": " + json(cookie.name()) + ",\n    \"defect\": " + json(cookie.defect())
                + ",\n    \"sealed\": " + json(cookie.sealed()) + "\n   }";
    }

    private static String json(List<byte[]> keys) {
        List<String> texts = keys.stream().map(key -> json(HexFormat.of().formatHex(key))).toList();
        return "[" + String.join(", ", texts) + "]";
    }

    private static String json(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
    }
}
