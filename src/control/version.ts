/** The version of `vnetd` and `vn`; the same as in package.json, to which a test holds it. */
export const VERSION = "0.1.0";
