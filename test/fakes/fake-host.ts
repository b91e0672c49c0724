/**
 * The kernel's links as `ip` shows and changes them, in memory: a {@link RunProgram} for everything
 * that runs `ip` and `getent`. Held to the real one by test/host/iproute2-contract.ts.
 */
import {
  ProgramError,
  type ProgramRequest,
  type ProgramResult,
  type RunProgram,
} from "../../src/host/child.ts";

export type FakeLink = {
  index: number;
  ifname: string;
  kind: string | null;
  up: boolean;
  mtu: number;
  master: string | null;
  alias: string | null;
  addressGeneration: string;
  tap: { user: string | null } | null;
  group: string;
};

export type FakeAddress = { device: string; address: string; prefixLength: number };

const FIRST_INDEX = 2;

export class FakeHost {
  readonly links = new Map<string, FakeLink>();
  readonly addresses: FakeAddress[] = [];
  /** Every change that was asked for, as words. */
  readonly commands: string[] = [];
  defaultDevice: string | null = null;
  users: Readonly<Record<string, number>> = { nobody: 65_534 };
  /** The kernel's words for a command that is to fail. */
  refuse: (command: string) => string | null = () => null;
  #nextIndex = FIRST_INDEX;

  readonly run: RunProgram = async (request) => this.#run(request);

  /** A network card with an address, up. */
  addCard(name: string, address: string): void {
    this.#add(name, { kind: null, up: true });
    this.addresses.push({ device: name, address, prefixLength: 24 });
  }

  addDevice(name: string, kind: string): void {
    this.#add(name, { kind });
  }

  #run({ program, args, input = "" }: ProgramRequest): ProgramResult {
    if (program === "getent") {
      return this.#getent(args);
    }
    if (program !== "ip") {
      throw new ProgramError(program, "ENOENT", "it is not installed");
    }
    const options = new Set(args.filter((word) => word.startsWith("-")));
    const words = args.filter((word) => !word.startsWith("-"));
    if (options.has("-batch")) {
      return this.#batch(input);
    }
    if (words[0] === "addr") {
      return ok(this.#showAddresses());
    }
    if (words[0] === "route") {
      const isIpv4 = options.has("-4");
      return ok(isIpv4 && this.defaultDevice !== null ? [{ dev: this.defaultDevice }] : []);
    }
    return this.#one(words);
  }

  #getent(args: readonly string[]): ProgramResult {
    const name = args.at(-1) ?? "";
    const uid = this.users[name];
    return uid === undefined
      ? { exitStatus: 2, stdout: "", stderr: "" }
      : { exitStatus: 0, stdout: `${name}:x:${uid}:${uid}::/:/bin/false\n`, stderr: "" };
  }

  #batch(input: string): ProgramResult {
    let stdout = "";
    let stderr = "";
    for (const [index, line] of input.trimEnd().split("\n").entries()) {
      const result = this.#one(line.split(" "));
      stdout += result.stdout;
      stderr += result.stderr;
      if (result.exitStatus !== 0) {
        stderr += `Command failed -:${index + 1}\n`;
      }
    }
    return { exitStatus: stderr === "" ? 0 : 1, stdout, stderr };
  }

  #one(words: readonly string[]): ProgramResult {
    if (words[0] === "link" && words[1] === "show") {
      return this.#showLinks(words);
    }
    const command = words.join(" ");
    this.commands.push(command);
    const failure = this.refuse(command) ?? this.#change(words);
    return failure === null
      ? { exitStatus: 0, stdout: "", stderr: "" }
      : { exitStatus: 2, stdout: "", stderr: `${failure}\n` };
  }

  #showLinks(words: readonly string[]): ProgramResult {
    const name = valueAfter(words, "dev");
    const master = valueAfter(words, "master");
    if (name !== null && !this.links.has(name)) {
      return { exitStatus: 1, stdout: "", stderr: `Device "${name}" does not exist.\n` };
    }
    if (master !== null && !this.links.has(master)) {
      const stderr = `Error: argument "${master}" is wrong: Device does not exist\n\n`;
      return { exitStatus: 255, stdout: "", stderr };
    }
    const links = [...this.links.values()].filter(
      (link) => (name === null || link.ifname === name) && (master ?? link.master) === link.master,
    );
    return ok(links.map(showLink));
  }

  #showAddresses(): object[] {
    return [...this.links.values()].map(({ index, ifname }) => ({
      ifindex: index,
      ifname,
      addr_info: this.addresses
        .filter(({ device }) => device === ifname)
        .map(({ address, prefixLength }) => ({
          family: address.includes(":") ? "inet6" : "inet",
          local: address,
          prefixlen: prefixLength,
          scope: "global",
        })),
    }));
  }

  #change(words: readonly string[]): string | null {
    const name = valueAfter(words, "dev") ?? valueAfter(words, "name") ?? "";
    switch (words.slice(0, 2).join(" ")) {
      case "tuntap add":
        return this.#addTap(name, valueAfter(words, "user"));
      case "link add":
        return this.links.has(name)
          ? "RTNETLINK answers: File exists"
          : this.#add(name, { kind: valueAfter(words, "type") });
      case "link del":
        return words[2] === "group" ? this.#deleteGroup(words[3]) : this.#delete(name);
      case "link set":
        return this.#set(name, words);
      default:
        return `Object "${words[0]}" is unknown, try "ip help".`;
    }
  }

  #addTap(name: string, user: string | null): string | null {
    if (this.links.has(name)) {
      return "ioctl(TUNSETIFF): Device or resource busy";
    }
    const account = Object.entries(this.users).find(([, uid]) => String(uid) === user);
    return this.#add(name, { kind: "tun", tap: { user: account?.[0] ?? user } });
  }

  #delete(name: string): string | null {
    if (!this.links.delete(name)) {
      return `Cannot find device "${name}"`;
    }
    for (const link of this.links.values()) {
      link.master = link.master === name ? null : link.master;
    }
    return null;
  }

  #deleteGroup(group: string | undefined): string | null {
    const names = [...this.links.values()]
      .filter((link) => link.group === group)
      .map(({ ifname }) => ifname);
    for (const name of names) {
      this.#delete(name);
    }
    return names.length === 0 ? "RTNETLINK answers: No such device" : null;
  }

  #set(name: string, words: readonly string[]): string | null {
    const link = this.links.get(name);
    if (link === undefined) {
      return `Cannot find device "${name}"`;
    }
    const master = valueAfter(words, "master");
    if (master !== null && this.links.get(master)?.kind !== "bridge") {
      return this.links.has(master)
        ? "RTNETLINK answers: Operation not supported"
        : `Error: argument "${master}" is wrong: Device does not exist`;
    }
    const mtu = Number(valueAfter(words, "mtu") ?? link.mtu);
    if (link.kind === "tun" && mtu > 65_521) {
      return "Error: mtu greater than device maximum.";
    }
    link.mtu = mtu;
    link.group = valueAfter(words, "group") ?? link.group;
    link.alias = valueAfter(words, "alias") ?? link.alias;
    link.addressGeneration = valueAfter(words, "addrgenmode") ?? link.addressGeneration;
    link.master = master ?? (words.includes("nomaster") ? null : link.master);
    link.up = words.includes("up") || (link.up && !words.includes("down"));
    return null;
  }

  #add(ifname: string, link: Partial<FakeLink>): null {
    this.links.set(ifname, {
      ...{ index: this.#nextIndex, ifname, kind: null, up: false, mtu: 1500, master: null },
      ...{ alias: null, addressGeneration: "eui64", tap: null, group: "default" },
      ...link,
    });
    this.#nextIndex += 1;
    return null;
  }
}

function showLink(link: FakeLink): object {
  const { index, ifname, mtu, up, master, alias, kind, tap, addressGeneration } = link;
  return {
    ifindex: index,
    ifname,
    flags: ["BROADCAST", "MULTICAST", ...(up ? ["UP"] : [])],
    mtu,
    address: `02:00:00:00:00:${index.toString(16).padStart(2, "0").slice(-2)}`,
    ...(master === null ? {} : { master }),
    ...(alias === null ? {} : { ifalias: alias }),
    inet6_addr_gen_mode: addressGeneration,
    ...(kind === null
      ? {}
      : {
          linkinfo: {
            info_kind: kind,
            ...(tap === null
              ? {}
              : { info_data: { type: "tap", persist: true, multi_queue: false, user: tap.user } }),
          },
        }),
  };
}

function valueAfter(words: readonly string[], key: string): string | null {
  // The first two words are the object and the verb: a device may be called `dev`.
  const at = words.indexOf(key, 2);
  return at === -1 ? null : (words[at + 1] ?? null);
}

function ok(records: readonly object[]): ProgramResult {
  return { exitStatus: 0, stdout: `${JSON.stringify(records)}\n`, stderr: "" };
}
