/**
 * What the documents suppose: two hosts on one network, each with the programs on its PATH, Open
 * vSwitch with an empty bridge xenbr0, and a VM whose interface is vif5.0.
 *
 *      vm1 10.0.0.1 ── vif5.0  host1 ── eth0 ── segment ── eth0  host2  vif5.0 ── 10.0.0.2 vm2
 *                                  eth1 ── another ── eth1
 *
 * The hosts have the default paths: /etc, /root, /run, /var/lib and /var/log are each host's own.
 */
import { Lab, REPOSITORY, type Segment } from "./lab.ts";
import { type Finished, LineProgram, run, tryRun } from "./programs.ts";

type Place = { readonly namespace: string; readonly program: LineProgram | null };

/** Nothing takes a tenth of it: what hangs is ended, and fails. */
const COMMAND_TIMEOUT_MS = 60_000;

/** Mounts what is a host's own, then waits for its input to end. */
const HOST_SCRIPT = `set -e
lab=$1 number=$2
mount -t tmpfs tmpfs "$lab"
for folder in /etc /root /var/lib /var/log; do
  mkdir -p "$lab/upper$folder" "$lab/work$folder"
  mount -t overlay overlay -o "lowerdir=$folder,upperdir=$lab/upper$folder,workdir=$lab/work$folder" $folder
done
mount -t tmpfs -o mode=755 tmpfs /run
printf '127.0.0.1 localhost\\n10.91.0.1 host1\\n10.91.0.2 host2\\n' >/etc/hosts
rm -rf /etc/vnetd /var/lib/vnetd /root/*.key
mkdir -p "$lab/bin" /run/openvswitch /etc/openvswitch /var/log/openvswitch
printf '#!/bin/sh\\n%s\\n' "$4" >"$lab/bin/scp"
printf '#!/bin/sh\\n%s\\n' "$5" >"$lab/bin/ovs-vsctl"
chmod 755 "$lab/bin/scp" "$lab/bin/ovs-vsctl"
rm -f /etc/openvswitch/conf.db
ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --remote=punix:/run/openvswitch/db.sock --pidfile --detach --no-chdir -vconsole:off --log-file
ovs-vsctl --no-wait init
ovs-vswitchd --disable-system --pidfile --detach --no-chdir -vconsole:off --log-file
"$lab/bin/ovs-vsctl" add-br xenbr0
echo $$ >"$3"
echo ready
exec cat
`;

/** Ends what was typed to run in a namespace that the host itself made: the lab knows only its own. */
const END_INNER_NAMESPACES =
  "for inner in $(ip netns list | cut -d ' ' -f 1); do" +
  ' ip netns pids "$inner" | xargs --no-run-if-empty kill -9; ip netns delete "$inner"; done';

/** Copies into another host's root directory: the lab has no sshd. */
const SCP = `for to; do :; done
host=\${to#*@} file=
host=\${host%%:*}
for word; do case $word in -*) ;; *:*) ;; *) cp -p "$word" "/proc/$(cat "$LAB_PIDS/$host")/root/\${to#*:}" ;; esac; done`;

/** Bridges in user space: the kernel's module need not be there. */
const OVS_VSCTL = `bridge= before=
for word; do
  if [ "$before" = add-br ]; then bridge=$word; fi
  before=$word
done
if [ -n "$bridge" ]; then set -- "$@" -- set bridge "$bridge" datapath_type=netdev; fi
exec /usr/bin/ovs-vsctl "$@"`;

export class DocumentLab {
  readonly lab: Lab;
  readonly #places = new Map<string, Place>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  static async create(): Promise<DocumentLab> {
    const lab = await Lab.create();
    const self = new DocumentLab(lab);
    const underlay = await lab.segment();
    const outside = await lab.segment();
    await Promise.all([1, 2].map((number) => self.#addHost(number, underlay, outside)));
    return self;
  }

  /** Runs a line as it would be typed at that prompt; one that ends with & goes on. */
  async type(place: string, text: string): Promise<Finished> {
    const found = this.#places.get(place);
    if (found === undefined) {
      throw new Error(`The lab has no ${place}`);
    }
    const { namespace, program } = found;
    const line = /&\s*$/.test(text)
      ? `${text.replace(/&\s*$/, "")} </dev/null >/run/job.log 2>&1 &`
      : text;
    const inHost =
      program === null
        ? ["netns", "exec", namespace]
        : ["netns", "exec", namespace, "nsenter", "--target", `${program.pid}`, "--mount"];
    const words = ["env", "-i", ...this.#environment(place), "bash", "--norc", "-c", line];
    return await tryRun("ip", [...inHost, ...words], { timeoutMs: COMMAND_TIMEOUT_MS });
  }

  async close(): Promise<void> {
    const hosts = [...this.#places].filter(([, { program }]) => program !== null);
    await Promise.all(hosts.map(([place]) => this.type(place, END_INNER_NAMESPACES)));
    await this.lab.close();
  }

  #environment(place: string): readonly string[] {
    const bin = `${this.#folderOf(place)}/bin:${REPOSITORY}bin`;
    return [
      `PATH=${bin}:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin`,
      ...["HOME=/root", "LC_ALL=C.UTF-8", `LAB_PIDS=${this.lab.folder}/pids`],
    ];
  }

  #folderOf(place: string): string {
    return `${this.lab.folder}/${place}`;
  }

  async #addHost(number: number, underlay: Segment, outside: Segment): Promise<void> {
    const { lab } = this;
    const name = `host${number}`;
    const namespace = await lab.namespace(name);
    await lab.plug(namespace, "eth0", `h${number}`, underlay);
    await lab.plug(namespace, "eth1", `o${number}`, outside);
    const vm = await lab.namespace(`vm${number}`);
    await lab.batch(namespace, [
      `addr add 10.91.0.${number}/24 dev eth0`,
      `link add name vif5.0 type veth peer name eth0 netns ${vm}`,
      "link set vif5.0 up",
    ]);
    await lab.batch(vm, [
      `link set eth0 address 00:16:3e:00:00:0${number} up`,
      `addr add 10.0.0.${number}/24 dev eth0`,
    ]);
    await run("mkdir", ["-p", this.#folderOf(name), `${lab.folder}/pids`]);
    const arguments_ = [this.#folderOf(name), `${number}`, `${lab.folder}/pids/${name}`];
    const program = await LineProgram.start("ip", [
      ...["netns", "exec", namespace, "sh", "-c", HOST_SCRIPT, "sh"],
      ...[...arguments_, SCP, OVS_VSCTL],
    ]);
    this.#places.set(name, { namespace, program });
    this.#places.set(`vm${number}`, { namespace: vm, program: null });
  }
}
