// Signatures of messages: HMAC-SHA-256 over topic, key, value and time.
import { createHmac } from "node:crypto";

export const HEADER_SIGNATURE = "smartlb-signature";
const VERSION = "v1";

/** Returns a function that signs records with a key; it throws if the key is wrong. */
export function signer({ id, secret }) {
  if (typeof id !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) {
    throw new TypeError("signingKey.id: want 1 to 64 letters, digits, dots, dashes and underscores");
  }
  if (typeof secret !== "string" || Buffer.byteLength(secret) < 32) {
    throw new TypeError("signingKey.secret: has fewer than 32 characters");
  }
  return (topic, key, value, timeMs) => {
    const mac = createHmac("sha256", Buffer.from(secret));
    for (const part of [HEADER_SIGNATURE, VERSION, id, topic, key, value]) {
      const bytes = Buffer.from(part);
      mac.update(uint64(bytes.length)).update(bytes); // each part has its length before it
    }
    return Buffer.from(`${VERSION} ${id} ${timeMs} ${mac.update(uint64(timeMs)).digest("hex")}`);
  };
}

function uint64(n) {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(n));
  return b;
}
