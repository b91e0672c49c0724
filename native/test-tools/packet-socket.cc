#include "packet-socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "options.h"

namespace vnetd {

namespace {

constexpr std::size_t kVirtioHeaderBytes = 10;
constexpr std::size_t kFrameBytesMax = 70'000;
constexpr std::size_t kTagAt = 12;  // after both MAC addresses
constexpr int kReceiveBufferBytes = 32 * 1024 * 1024;

void setOption(int descriptor, int level, int option, int value, std::string_view what) {
  if (setsockopt(descriptor, level, option, &value, sizeof value) != 0) {
    failErrno(what);
  }
}

struct Ancillary {
  tpacket_auxdata aux;
  timespec time;
};

Ancillary readAncillary(msghdr& message) {
  Ancillary result{};
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == SOL_PACKET && control->cmsg_type == PACKET_AUXDATA) {
      std::memcpy(&result.aux, CMSG_DATA(control), sizeof result.aux);
    }
    if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_TIMESTAMPNS) {
      std::memcpy(&result.time, CMSG_DATA(control), sizeof result.time);
    }
  }
  return result;
}

void putTagBack(const tpacket_auxdata& aux, std::size_t frameAt, Octets& frame) {
  if ((aux.tp_status & TP_STATUS_VLAN_VALID) == 0) {
    return;
  }
  const bool hasTpid = (aux.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  const std::array<std::uint16_t, 2> tag = {
      htons(hasTpid ? aux.tp_vlan_tpid : std::uint16_t{ETH_P_8021Q}), htons(aux.tp_vlan_tci)};
  const auto octets = std::as_bytes(std::span(tag));
  frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(frameAt + kTagAt), octets.begin(),
               octets.end());
}

}  // namespace

PacketSocket::PacketSocket(const std::string& device, PacketSocketOptions options)
    : descriptor_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)),
      frameAt_(options.virtioHeader ? kVirtioHeaderBytes : 0) {
  if (descriptor_ < 0) {
    failErrno("socket(AF_PACKET)");
  }
  const unsigned int index = if_nametoindex(device.c_str());
  if (index == 0) {
    failErrno(device);
  }
  setOption(descriptor_, SOL_PACKET, PACKET_AUXDATA, 1, "PACKET_AUXDATA");
  setOption(descriptor_, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  setOption(descriptor_, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBufferBytes, "SO_RCVBUFFORCE");
  if (!options.outgoing) {
    setOption(descriptor_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
  }
  if (options.virtioHeader) {
    setOption(descriptor_, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    failErrno("bind to " + device);
  }
  if (options.promiscuous) {
    packet_mreq request{};
    request.mr_ifindex = static_cast<int>(index);
    request.mr_type = PACKET_MR_PROMISC;
    if (setsockopt(descriptor_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
      failErrno("PACKET_MR_PROMISC");
    }
  }
}

PacketSocket::~PacketSocket() { close(descriptor_); }

int PacketSocket::send(std::span<const std::byte> frame) const {
  return ::send(descriptor_, frame.data(), frame.size(), 0) < 0 ? errno : 0;
}

bool PacketSocket::receive(Octets& frame, std::uint64_t& timeNs) const {
  frame.resize(kFrameBytesMax);
  iovec part{frame.data(), frame.size()};
  alignas(cmsghdr) std::array<std::byte, 256> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = recvmsg(descriptor_, &message, MSG_DONTWAIT);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN) {
      return false;
    }
    failErrno("recvmsg");
  }
  frame.resize(static_cast<std::size_t>(count));
  const Ancillary ancillary = readAncillary(message);
  putTagBack(ancillary.aux, frameAt_, frame);
  timeNs = static_cast<std::uint64_t>(ancillary.time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(ancillary.time.tv_nsec);
  return true;
}

}  // namespace vnetd
