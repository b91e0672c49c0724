/** What the core of secure vnets computes with: OpenSSL's, by node:crypto. */
import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import type { SecureCrypto } from "../encap/key-schedule.ts";

export const nodeCrypto: SecureCrypto = {
  hkdfSha256: (inputKey, salt, info, length) =>
    new Uint8Array(hkdfSync("sha256", inputKey, salt, info, length)),
  hmacSha256: (key, message) => createHmac("sha256", key).update(message).digest(),
  // A copy: small ones of Node's are parts of a pool that others see.
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
  equalSecrets: (one, other) => timingSafeEqual(one, other),
};
