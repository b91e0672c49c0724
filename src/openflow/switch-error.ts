/** What a switch's error message says, in the words of OpenFlow 1.4 §7.5.4 and ovs-ofctl. */

/** An error message; `data` is the start of the message that caused it. */
export type SwitchError = {
  readonly type: number;
  readonly code: number;
  /** The experimenter whose code it is; null for OpenFlow's own. */
  readonly experimenter: number | null;
  readonly data: Uint8Array;
};

const TYPE_NAMES: Readonly<Record<number, string>> = {
  0: "hello failed",
  1: "bad request",
  2: "bad action",
  3: "bad instruction",
  4: "bad match",
  5: "flow-mod failed",
  7: "port-mod failed",
  12: "meter-mod failed",
  16: "flow monitor failed",
  17: "bundle failed",
};

const CODE_NAMES: Readonly<Record<string, string>> = {
  "0/0": "no common version",
  "0/1": "not permitted",
  "1/0": "bad version",
  "1/1": "bad type",
  "1/2": "bad multipart type",
  "1/3": "bad experimenter",
  "1/4": "bad experimenter type",
  "1/5": "not permitted",
  "1/6": "bad length",
  "1/9": "bad table",
  "1/11": "bad port",
  "2/0": "bad type",
  "2/1": "bad length",
  "2/2": "bad experimenter",
  "2/3": "bad experimenter type",
  "2/4": "bad output port",
  "2/5": "bad argument",
  "2/6": "not permitted",
  "2/7": "too many actions",
  "2/9": "bad group",
  "2/10": "prerequisites not matched",
  "2/13": "bad field",
  "3/0": "unknown instruction",
  "3/1": "unsupported instruction",
  "3/2": "bad table",
  "4/0": "bad type",
  "4/1": "bad length",
  "4/4": "bad mask of a MAC address",
  "4/5": "bad mask of an IP address",
  "4/6": "bad field",
  "4/7": "bad value",
  "4/8": "bad mask",
  "4/9": "prerequisites not matched",
  "4/10": "the same field twice",
  "5/0": "unknown",
  "5/1": "table full",
  "5/2": "bad table",
  "5/3": "overlap",
  "5/4": "not permitted",
  "5/5": "bad timeout",
  "5/6": "bad command",
  "5/7": "bad flags",
  "7/0": "no such port",
  "7/1": "another hardware address",
  "7/4": "not permitted",
  "12/1": "no such meter",
  "17/0": "unknown",
  "17/1": "not permitted",
  "17/2": "bad id",
  "17/3": "bundle exists",
  "17/4": "bundle closed",
  "17/5": "out of bundles",
  "17/6": "bad type",
  "17/7": "bad flags",
  "17/8": "bad length",
  "17/9": "bad xid",
  "17/10": "message not supported",
  "17/11": "conflicting messages",
  "17/12": "too many messages",
  "17/13": "a message failed",
  "17/14": "timeout",
};

/** `bad action: bad output port (type 2, code 4)` */
export function describeSwitchError({ type, code, experimenter }: SwitchError): string {
  const numbers = `type ${type}, code ${code}`;
  if (experimenter !== null) {
    return `error of experimenter 0x${experimenter.toString(16)} (${numbers})`;
  }
  const typeName = TYPE_NAMES[type] ?? "error";
  const codeName = CODE_NAMES[`${type}/${code}`] ?? "unnamed";
  return `${typeName}: ${codeName} (${numbers})`;
}
