// vnet-frames: exact frames, datagrams and packets for the namespace tests and the bench.
//
// Every command prints `ready` once its sockets are open. Those that read standard input take a
// line an order, `HEX` being lower-case hex without spaces, and end with the input.
//
//   frames DEVICE [--promiscuous] [--outgoing] [--virtio]
//       in:  HEX                        sends one frame as it stands; with --virtio the 10-octet
//                                       virtio header comes first
//       out: TIME HEX                   one received frame, VLAN tags in place; TIME in nanoseconds
//       out: refused ERRNO              the kernel did not take the last frame
//   datagrams ADDRESS PORT [--group ADDRESS] [--reuse]
//       in:  ADDRESS PORT HEX           sends one datagram from ADDRESS:PORT
//       out: TIME VIA ADDRESS PORT HEX  one received datagram and its source; VIA is `group` when
//       it
//                                       was sent to the group, else `host`
//   packets
//       in:  HEX                        sends one IPv4 packet whose header is in HEX
//   relay DEVICE DEVICE [--seed N]
//       in:  loss N | duplicate N | reorder N    per cent, both ways
//       in:  cut | join                          partition and heal
//       out: stats FORWARDED LOST DUPLICATED REORDERED    answers the line `stats`
//   udp-send ADDRESS PORT [--size N] [--rate N] [--count N] [--seconds N]
//       sends numbered datagrams, as fast as it can without --rate; prints JSON at the end
//   udp-sink PORT [--seconds N] [--idle-ms N]
//       counts them; prints JSON at the end (SIGTERM, after --seconds, or after --idle-ms of
//       silence)
//   garbage ADDRESS PORT [--rate N] [--seconds N] [--seed N] [--bind-port N]
//       random and near-valid datagrams
//   packet-load [--rate N] [--seconds N]
//       in:  HEX                        an IPv4 packet; at the end of the input they are sent in
//                                       turns, again and again
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include "commands.h"

int main(int argc, char** argv) {
  using Command = int (*)(const vnetd::Options&);
  static const std::map<std::string_view, Command> kCommands = {
      {"frames", vnetd::runFrames},    {"datagrams", vnetd::runDatagrams},
      {"packets", vnetd::runPackets},  {"relay", vnetd::runRelay},
      {"udp-send", vnetd::runUdpSend}, {"udp-sink", vnetd::runUdpSink},
      {"garbage", vnetd::runGarbage},  {"packet-load", vnetd::runPacketLoad},
  };
  const auto command = argc < 2 ? kCommands.end() : kCommands.find(argv[1]);
  if (command == kCommands.end()) {
    (void)std::fputs("usage: vnet-frames COMMAND …; see native/test-tools/vnet-frames.cc\n",
                     stderr);
    return 2;
  }
  // A reader that has gone ends us through EPIPE, where the reason can be told.
  (void)std::signal(SIGPIPE, SIG_IGN);
  return command->second(vnetd::Options(argc - 2, argv + 2));
}
