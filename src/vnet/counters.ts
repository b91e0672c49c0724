/**
 * The data plane's counters, in the order of its `counters` message. GENERATED from
 * native/control/counters.def by scripts/generate-messages.ts: change that table and run
 * `npm run generate`.
 */
export const COUNTERS = [
  {
    name: "outbound-frames",
    help: "frames read from the vnet interface, a super-frame counted once",
  },
  {
    name: "outbound-bytes",
    help: "octets of those frames",
  },
  {
    name: "outbound-datagrams",
    help: "datagrams sent for them",
  },
  {
    name: "outbound-datagram-bytes",
    help: "UDP payload octets of those datagrams",
  },
  {
    name: "inbound-datagrams",
    help: "datagrams received",
  },
  {
    name: "inbound-datagram-bytes",
    help: "UDP payload octets of those datagrams",
  },
  {
    name: "inbound-frames",
    help: "frames delivered to the vnet interface, before coalescing",
  },
  {
    name: "inbound-bytes",
    help: "octets of those frames",
  },
  {
    name: "inbound-writes",
    help: "writes to the vnet interface",
  },
  {
    name: "unicast-out",
    help: "frames sent to one known host",
  },
  {
    name: "flood-unknown-out",
    help: "unicast frames flooded because the MAC was unknown",
  },
  {
    name: "flood-group-out",
    help: "broadcast and multicast frames flooded",
  },
  {
    name: "segments-out",
    help: "frames cut from super-frames",
  },
  {
    name: "fragmented-out",
    help: "datagrams above the path MTU, left to IP fragmentation",
  },
  {
    name: "mss-clamped",
    help: "TCP SYN segments whose MSS was lowered",
  },
  {
    name: "coalesced-in",
    help: "inbound frames merged into a preceding one",
  },
  {
    name: "forwarded-out",
    help: "messages wrapped and sent to configured peers",
  },
  {
    name: "forwarded-in",
    help: "forwarded messages accepted from configured peers",
  },
  {
    name: "reemitted-out",
    help: "forwarded messages multicast again with their original source",
  },
  {
    name: "checksum-bad-in",
    help: "inbound frames passed on unmerged because a checksum in them is wrong",
  },
  {
    name: "events-dropped",
    help: "events for vnetd that found the queue full",
  },
  {
    name: "fdb-evicted",
    help: "remote MACs evicted at the vnet's limit",
  },
  {
    name: "vif-evicted",
    help: "local MACs evicted at the vnet's limit",
  },
  {
    name: "drop-short",
    help: "datagram shorter than its message",
  },
  {
    name: "drop-unknown-message",
    help: "first octets name no message of ours",
  },
  {
    name: "drop-etherip-version",
    help: "neither EtherIP nibble is 4",
  },
  {
    name: "drop-unknown-vnet",
    help: "vnet is not on this host",
  },
  {
    name: "drop-downgrade",
    help: "clear message for a secure vnet",
  },
  {
    name: "drop-from-self",
    help: "source is an address of this host",
  },
  {
    name: "drop-guest-side",
    help: "datagram came from a guest-side device",
  },
  {
    name: "drop-not-peer",
    help: "forwarded message from a host that is not a configured peer",
  },
  {
    name: "drop-forward-malformed",
    help: "forwarded packet is not UDP in IP with a group message",
  },
  {
    name: "drop-duplicate",
    help: "group message seen already by another way",
  },
  {
    name: "drop-varp-malformed",
    help: "VARP message with a wrong opcode, family or address",
  },
  {
    name: "drop-control-rate",
    help: "control messages above the rate limit",
  },
  {
    name: "drop-source-mac",
    help: "zero or group source MAC",
  },
  {
    name: "drop-reserved-mac",
    help: "destination 01:80:c2:00:00:0x stays on its link",
  },
  {
    name: "drop-runt-frame",
    help: "frame shorter than an Ethernet header",
  },
  {
    name: "drop-giant-frame",
    help: "frame above the vnet's MTU",
  },
  {
    name: "drop-virtio-header",
    help: "offload request that does not fit its frame",
  },
  {
    name: "drop-local-destination",
    help: "destination is a pinned MAC of this host",
  },
  {
    name: "drop-recursion",
    help: "frame is tunnel traffic of our own",
  },
  {
    name: "drop-split-horizon",
    help: "frame from a remote MAC's own host for itself",
  },
  {
    name: "drop-no-underlay",
    help: "no underlay address to send from",
  },
  {
    name: "drop-send-failed",
    help: "the kernel refused the datagram",
  },
  {
    name: "drop-tap-failed",
    help: "the kernel refused the frame",
  },
  {
    name: "drop-truncated",
    help: "datagram longer than the receive buffer",
  },
  {
    name: "drop-esp-no-key",
    help: "sealed datagram and no key for it, or none that came in time",
  },
  {
    name: "drop-socket-overflow",
    help: "datagrams the kernel dropped because the receive buffer was full",
  },
  {
    name: "sealed-out",
    help: "datagrams sealed",
  },
  {
    name: "opened-in",
    help: "sealed datagrams opened",
  },
  {
    name: "held-in",
    help: "sealed datagrams held until their key comes",
  },
  {
    name: "checksum-partial-out",
    help: "sealed frames sent with the checksum left to the receiver",
  },
  {
    name: "checksum-partial-in",
    help: "sealed frames received with the checksum left to us",
  },
  {
    name: "vnc-in",
    help: "VNC1 control messages passed to vnetd",
  },
  {
    name: "drop-no-sa",
    help: "frame of a secure vnet that has no key to send with",
  },
  {
    name: "drop-sa-spent",
    help: "frame of a secure vnet whose key has sealed all it may",
  },
  {
    name: "drop-hold-full",
    help: "sealed datagram without a key that found no place to be held",
  },
  {
    name: "drop-esp-malformed",
    help: "sealed datagram of a wrong length, or wrong inside",
  },
  {
    name: "drop-esp-forged",
    help: "sealed datagram whose check value is wrong",
  },
  {
    name: "drop-esp-replay",
    help: "sealed datagram that was seen before, or is too old to tell",
  },
  {
    name: "drop-esp-own",
    help: "sealed datagram of our own key from another host",
  },
  {
    name: "drop-esp-dummy",
    help: "sealed padding without a message",
  },
  {
    name: "drop-esp-next-header",
    help: "sealed message of an unknown kind",
  },
  {
    name: "drop-checksum-flag",
    help: "checksum left to us in a frame that has none of TCP or UDP",
  },
  {
    name: "drop-vnc-malformed",
    help: "VNC1 control message of a wrong form",
  },
  {
    name: "capture-lost",
    help: "frames not captured because vnetd did not keep up",
  },
] as const;
