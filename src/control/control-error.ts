/**
 * The failures a caller of the control API can meet: one stable code each, with
 * the HTTP status it is answered with. docs/CONTROL.md explains every one.
 *
 * 400 the request is wrong and nothing was changed; 404 what it names is not
 * here; 409 it clashes with what is here; 500 the host or the daemon failed.
 */
export const CONTROL_ERROR_STATUS = {
  /** Not HTTP as this API speaks it: malformed JSON, wrong encoding, unknown key, wrong type. */
  VNETD_BAD_REQUEST: 400,
  VNETD_METHOD_NOT_ALLOWED: 400,
  VNETD_TOO_LARGE: 400,
  /** A value that does not read as what it should be; the message holds the value. */
  VNETD_PARSE: 400,
  /** Vnet id 1, the physical network. */
  VNETD_RESERVED_VNET_ID: 400,
  VNETD_PEER_IS_SELF: 400,
  /** The request is well formed and asks for what this version does not do. */
  VNETD_UNSUPPORTED: 400,
  /** A file that was named as a key is none, or others can read it. */
  VNETD_KEY_FILE: 400,
  VNETD_UNKNOWN_PATH: 404,
  VNETD_UNKNOWN_VNET: 404,
  VNETD_UNKNOWN_VIF: 404,
  VNETD_UNKNOWN_PEER: 404,
  VNETD_UNKNOWN_GROUP: 404,
  /** No network of that bridge and VLAN. */
  VNETD_UNKNOWN_NETWORK: 404,
  VNETD_UNKNOWN_KEY: 404,
  /** A device of this host that does not exist. */
  VNETD_UNKNOWN_DEVICE: 404,
  /** A host name that does not resolve. */
  VNETD_UNKNOWN_HOST: 404,
  VNETD_VNET_EXISTS: 409,
  VNETD_VIF_EXISTS: 409,
  VNETD_PEER_EXISTS: 409,
  VNETD_KEY_EXISTS: 409,
  /** The key that is sent with cannot be deleted. */
  VNETD_KEY_ACTIVE: 409,
  /** The vnet has no keys, because its security is none. */
  VNETD_NO_SECURITY: 409,
  /** A more trusted source, such as a file, has a policy for the same thing. */
  VNETD_OVERRULED: 409,
  /** The interface or bridge name belongs to something else. */
  VNETD_NAME_TAKEN: 409,
  /** A table is full. */
  VNETD_LIMIT: 409,
  /** A program or a system call of the host failed (ip, bridge, ovs-vsctl, /dev/net/tun). */
  VNETD_HOST_FAILED: 500,
  VNETD_DATAPLANE_FAILED: 500,
  VNETD_NO_UNDERLAY: 500,
  VNETD_OVS_FAILED: 500,
  /** The policy of a VIF is not in force: nothing passes, or what passed before. */
  VNETD_VIF_NOT_APPLIED: 500,
  /** The state file could not be written; the change was not made. */
  VNETD_STATE_FAILED: 500,
  /** A vnet's key ring is missing, damaged, or cannot be written. */
  VNETD_KEY_RING: 500,
  VNETD_STOPPING: 500,
  /** A defect of ours: the daemon's log has the details. */
  VNETD_INTERNAL: 500,
} as const;

export type ControlErrorCode = keyof typeof CONTROL_ERROR_STATUS;

export type ControlErrorStatus = (typeof CONTROL_ERROR_STATUS)[ControlErrorCode];

/**
 * Thrown by every ControlApi, by the daemon's and by the client's alike. The
 * message is one line: what we were doing, what was wrong, the value.
 */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get status(): ControlErrorStatus {
    return CONTROL_ERROR_STATUS[this.code];
  }
}

/** Whether `text`, perhaps from a newer daemon, is a code this version knows. */
export function isControlErrorCode(text: string): text is ControlErrorCode {
  return Object.hasOwn(CONTROL_ERROR_STATUS, text);
}
