/**
 * What VMs need to begin with: DHCP and IPv6 neighbour discovery, by real protocol octets.
 *
 *     VM (client) ── a ── segment ── b ── VM (server)
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { addressOctets, macOctets } from "../fakes/legacy-messages.ts";
import { BROADCAST_MAC, udp4 } from "./frames.ts";
import { Lab, SKIP_REASON } from "./lab.ts";
import { Host, type Vm } from "./lab-host.ts";
import { Tap } from "./link-tools.ts";
import { eventually } from "./wait.ts";

const VNET = "11";
const TRANSACTION = 0x20050617;
const MESSAGE_TYPE = 53;
const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const ACK = 5;
const LEASED = "192.168.17.77";
const SERVER = "192.168.17.2";

/** A BOOTP message with the one DHCP option that says what it is (RFC 2131 §2). */
function dhcp(operation: 1 | 2, type: number, clientMac: string, address: string): Buffer {
  const message = Buffer.alloc(244);
  message.set([operation, 1, 6, 0], 0);
  message.writeUInt32BE(TRANSACTION, 4);
  message.writeUInt16BE(0x8000, 10); // the client wants broadcasts
  message.set(addressOctets(address), 16);
  message.set(macOctets(clientMac), 28);
  message.set([99, 130, 83, 99, MESSAGE_TYPE, 1, type, 255], 236);
  return message;
}

/** The type of a DHCP message of our transaction in a frame to the port. */
function dhcpType(frame: Buffer, udpPort: number): number | undefined {
  const isOurs =
    frame.length >= 42 + 244 &&
    frame.readUInt16BE(12) === 0x0800 &&
    frame.readUInt8(23) === 17 &&
    frame.readUInt16BE(36) === udpPort &&
    frame.readUInt32BE(46) === TRANSACTION;
  return isOurs ? frame.readUInt8(42 + 242) : undefined;
}

describe("VMs of one vnet on two hosts", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let client: Vm;
  let server: Vm;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    const a = await Host.create(lab, "a", [segment]);
    const b = await Host.create(lab, "b", [segment]);
    for (const host of [a, b]) {
      await host.start();
      await host.vnet(VNET);
    }
    client = await a.vm(VNET, { ipv6: true });
    server = await b.vm(VNET, { address: `${SERVER}/24`, ipv6: true });
  });
  after(() => lab.close());

  test("a client without an address gets a lease by DHCP from the other host", async () => {
    const clientTap = await Tap.open(lab, client.namespace, "eth0", "--promiscuous");
    const serverTap = await Tap.open(lab, server.namespace, "eth0", "--promiscuous");
    const ask = (type: number) =>
      udp4(
        { to: BROADCAST_MAC, from: client.mac },
        {
          source: "0.0.0.0",
          destination: "255.255.255.255",
          sourcePort: 68,
          destinationPort: 67,
          payload: dhcp(1, type, client.mac, "0.0.0.0"),
        },
      );
    const answer = (type: number) =>
      udp4(
        { to: client.mac, from: server.mac },
        {
          source: SERVER,
          destination: LEASED,
          sourcePort: 67,
          destinationPort: 68,
          payload: dhcp(2, type, client.mac, LEASED),
        },
      );
    for (const [question, reply] of [
      [DISCOVER, OFFER],
      [REQUEST, ACK],
    ] as const) {
      clientTap.send(ask(question));
      await eventually(`the server sees ${question}`, () =>
        serverTap.frames.some(({ frame }) => dhcpType(frame, 67) === question),
      );
      serverTap.send(answer(reply));
      await eventually(`the client sees ${reply}`, () =>
        clientTap.frames.some(({ frame }) => dhcpType(frame, 68) === reply),
      );
    }
    assert.equal(
      clientTap.frames.filter(({ frame }) => dhcpType(frame, 68) === OFFER).length,
      1,
      "the offer comes once",
    );
    await lab.batch(client.namespace, [`addr add ${LEASED}/24 dev eth0`]);
    await lab.in(client.namespace, "ping", "-c", "2", "-i", "0.02", "-W", "2", SERVER);
  });

  test("IPv6 finds the neighbour by its solicited-node group and talks to it", async () => {
    const link = JSON.parse(
      await lab.in(server.namespace, "ip", "-json", "-6", "addr", "show", "dev", "eth0"),
    ) as { addr_info: { local: string; scope: string }[] }[];
    const local = link[0]?.addr_info.find((one) => one.scope === "link")?.local;
    assert.ok(local);
    const target = `${local}%eth0`;
    await lab.in(client.namespace, "ping", "-6", "-c", "3", "-i", "0.02", "-W", "2", target);
    const neighbours = await lab.in(client.namespace, "ip", "-6", "neigh", "show", "dev", "eth0");
    assert.match(neighbours, new RegExp(`${local} lladdr ${server.mac}`));
  });

  test("duplicate address detection sees a double on the other host", async () => {
    await lab.batch(server.namespace, ["addr add fd17::5/64 dev eth0 nodad"]);
    await lab.sysctl(client.namespace, "net.ipv6.conf.eth0.accept_dad", "1");
    await lab.batch(client.namespace, ["addr add fd17::5/64 dev eth0"]);
    await eventually("the client's address is marked as a double", async () =>
      (await lab.in(client.namespace, "ip", "-6", "addr", "show", "dev", "eth0")).includes(
        "dadfailed",
      ),
    );
  });
});
