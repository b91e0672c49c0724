// Commands about security associations. Every SA is used by one worker; so each change, and each
// look at one, is a closure that this worker runs.
#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "control/engine.h"
#include "host/clock.h"
#include "path/inbound-limits.h"
#include "wire/esp.h"

namespace vnetd {
namespace {

// A vnet of 1,000 hosts has three SAs of each: the one before, the present and the next.
constexpr std::size_t kSasPerVnet = 4'096;
// Some 4 KiB each.
constexpr std::size_t kSasMax = 16'384;
constexpr std::size_t kContextBytesMax = 128;
constexpr std::uint32_t kNeverOpened = 0xFFFF'FFFFU;
// What a control message may say: a VARP message in UDP, or nothing.
constexpr std::array<std::uint8_t, 2> kControlNextHeaders{kNextHeaderUdp, kNextHeaderDummy};

Failure refuse(int error, std::string message) {
  return {.error = error, .message = std::move(message)};
}

Failure unknownVnet(const VnetId& id) { return refuse(ENOENT, "There is no vnet " + id.toText()); }

// A level is a promise: no key of another level is taken, whoever asks for it.
bool belongsTo(Suite suite, Security security) {
  const bool isAuth = suite == Suite::kHmacSha256 || suite == Suite::kHmacSha1;
  return security != Security::kNone && isAuth == (security == Security::kAuth);
}

// What the two commands that bring keys have in common; none: refused.
template <class Command>
Failure checkSa(const Command& command, const Vnet& vnet, Suite& suite) {
  const std::optional<Suite> named = suiteFromNumber(command.suite);
  if (!named || !belongsTo(*named, vnet.settings.security)) {
    return refuse(EINVAL, "The suite " + std::to_string(command.suite) +
                              " is none of the vnet's security level");
  }
  if (command.spi < kFirstGroupSpi || command.spi > kLastPairSpi) {
    return refuse(EINVAL, "An SPI must be 0x10000000 ... 0xfffffffe");
  }
  if (command.keys.size() != suiteSizes(*named).keyBytes) {
    return refuse(EINVAL, "The keys of this suite are " +
                              std::to_string(suiteSizes(*named).keyBytes) + " octets, not " +
                              std::to_string(command.keys.size()));
  }
  if (command.context.size() > kContextBytesMax) {
    return refuse(EINVAL, "A context is at most 128 octets");
  }
  suite = *named;
  return noFailure();
}

Failure refuseKeys() { return refuse(EIO, "libcrypto does not take the keys"); }

Failure unknownSa() { return refuse(ENOENT, "There is no such SA"); }

control::SaState describe(const ReceiveSa& sa, std::uint64_t nowMs) {
  const std::uint64_t silentMs = nowMs - std::min(nowMs, sa.lastOpenedMs);
  return {.vnet = sa.vnet->settings.id,
          .send = false,
          .spi = sa.spi,
          .suite = static_cast<std::uint8_t>(sa.key.suite()),
          .host = sa.host,
          .context = sa.context,
          .counter = sa.window.highest(),
          .rekeyAt = 0,
          .stopAt = 0,
          .checksumPartial = sa.isPartialTaken,
          .packets = sa.packets,
          .replayed = sa.replayed,
          .forged = sa.forged,
          .silentMs = sa.lastOpenedMs == 0 ? kNeverOpened
                                           : static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                                 silentMs, kNeverOpened - 1))};
}

control::SaState describe(const SendSa& sa, const VnetId& id) {
  return {.vnet = id,
          .send = true,
          .spi = sa.spi,
          .suite = static_cast<std::uint8_t>(sa.key.suite()),
          .host = {},
          .context = sa.context,
          .counter = sa.counter,
          .rekeyAt = sa.rekeyAt,
          .stopAt = sa.stopAt,
          .checksumPartial = false,
          .packets = sa.counter,
          .replayed = 0,
          .forged = 0,
          .silentMs = kNeverOpened};
}

}  // namespace

// ---- the send SA ------------------------------------------------------------------------

// The inbound thread knows what this host seals with, and what it sealed with before: packets that
// come with it were sent back, or a clone of this host sends them.
Failure Engine::addOwnSa(Vnet& vnet, const control::SetSendSa& command, Suite suite) {
  std::optional<OpenKey> key = OpenKey::make(suite, command.keys);
  if (!key) {
    return refuseKeys();
  }
  auto own = std::make_unique<ReceiveSa>(
      ReceiveSa{.spi = command.spi, .vnet = &vnet, .key = std::move(*key), .isOwn = true});
  const std::uint32_t presentSpi = vnet.sendSa == nullptr ? 0 : vnet.sendSa->spi;
  bool isAdded = false;
  std::vector<std::unique_ptr<ReceiveSa>> gone;
  inbound_.mailbox().call([&] {
    gone = inbound_.removeOwnSas(vnet, presentSpi);
    isAdded = inbound_.addSa(std::move(own));
  });
  return isAdded ? noFailure() : refuse(ENOSPC, "There are too many SAs with this SPI");
}

Failure Engine::apply(const control::SetSendSa& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  Suite suite{};
  if (Failure failure = checkSa(command, *vnet, suite); failure.failed()) {
    return failure;
  }
  if (command.stopAt > kLastPacketCounter || command.stopAt == 0) {
    return refuse(EINVAL, "An SA must stop at 1 ... 2^32 - 2^16 packets");
  }
  // Only this thread exchanges the SA, so its SPI may be read here.
  if (vnet->sendSa != nullptr && vnet->sendSa->spi == command.spi) {
    return refuse(EEXIST, "The vnet's send SA has this SPI already");
  }
  std::optional<SealKey> key = SealKey::make(suite, command.spi, command.keys);
  if (!key) {
    return refuseKeys();
  }
  if (Failure failure = addOwnSa(*vnet, command, suite); failure.failed()) {
    return failure;
  }
  auto next = std::make_unique<SendSa>(SendSa{.spi = command.spi,
                                              .key = std::move(*key),
                                              .context = command.context,
                                              .rekeyAt = command.rekeyAt,
                                              .stopAt = command.stopAt});
  outbound_.mailbox().call([&] { std::swap(vnet->sendSa, next); });
  return noFailure();
}

Failure Engine::deleteSendSa(Vnet& vnet, std::uint32_t spi) {
  if (vnet.sendSa == nullptr || vnet.sendSa->spi != spi) {
    return unknownSa();
  }
  std::unique_ptr<SendSa> gone;
  std::vector<std::unique_ptr<ReceiveSa>> own;
  outbound_.mailbox().call([&] { gone = std::move(vnet.sendSa); });
  inbound_.mailbox().call([&] { own = inbound_.removeOwnSas(vnet, 0); });
  return noFailure();
}

// ---- receive SAs ------------------------------------------------------------------------

// For closures of the inbound thread; this thread may look at what they gave as long as it alone
// changes the table.
ReceiveSa* Engine::findReceiveSa(const Vnet& vnet, std::uint32_t spi, const Endpoint& host) const {
  const SpiTable<ReceiveSa>::Candidates found = inbound_.sas().find(spi);
  for (ReceiveSa* const sa : found.all()) {
    if (!sa->isOwn && sa->vnet == &vnet && sa->host == host) {
      return sa;
    }
  }
  return nullptr;
}

Failure Engine::apply(const control::SetReceiveSa& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  Suite suite{};
  if (Failure failure = checkSa(command, *vnet, suite); failure.failed()) {
    return failure;
  }
  if (!command.host.ip().isHost() || command.host.udpPort == 0) {
    return refuse(EINVAL, "An SA needs its host's address and port");
  }
  std::optional<OpenKey> key = OpenKey::make(suite, command.keys);
  if (!key) {
    return refuseKeys();
  }
  auto sa = std::make_unique<ReceiveSa>(ReceiveSa{.spi = command.spi,
                                                  .vnet = vnet,
                                                  .key = std::move(*key),
                                                  .window = ReplayWindow(command.seenUpTo),
                                                  .host = command.host,
                                                  .context = command.context,
                                                  .isPartialTaken = command.checksumPartial});
  Failure failure;
  inbound_.mailbox().call([&] {
    std::size_t ofVnet = 0;
    inbound_.sas().forEach([&](const ReceiveSa& other) { ofVnet += other.vnet == vnet ? 1U : 0U; });
    if (findReceiveSa(*vnet, command.spi, command.host) != nullptr) {
      failure = refuse(EEXIST, "There is an SA of this vnet, SPI and host already");
    } else if (ofVnet >= kSasPerVnet || inbound_.sas().size() >= kSasMax ||
               !inbound_.addSa(std::move(sa))) {
      failure = refuse(ENOSPC, "There are too many SAs");
    }
  });
  updatePartialHosts(*vnet);
  return failure;
}

Failure Engine::apply(const control::ChangeReceiveSa& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  if (!command.newHost.ip().isHost() || command.newHost.udpPort == 0 ||
      command.context.size() > kContextBytesMax) {
    return refuse(EINVAL,
                  "An SA needs its host's address and port, and a context of 128 octets at most");
  }
  Failure failure;
  inbound_.mailbox().call([&] {
    ReceiveSa* const sa = findReceiveSa(*vnet, command.spi, command.host);
    const ReceiveSa* const other = findReceiveSa(*vnet, command.spi, command.newHost);
    if (sa == nullptr) {
      failure = unknownSa();
    } else if (other != nullptr && other != sa) {
      failure = refuse(EEXIST, "There is an SA of this vnet, SPI and host already");
    } else {
      inbound_.moveSa(*sa, command.newHost);
      sa->context = command.context;
      sa->isPartialTaken = command.checksumPartial;
    }
  });
  updatePartialHosts(*vnet);
  return failure;
}

Failure Engine::apply(const control::DeleteSa& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  if (command.send) {
    return deleteSendSa(*vnet, command.spi);
  }
  std::unique_ptr<ReceiveSa> gone;
  inbound_.mailbox().call([&] {
    if (const ReceiveSa* const sa = findReceiveSa(*vnet, command.spi, command.host)) {
      gone = inbound_.removeSa(sa);
    }
  });
  updatePartialHosts(*vnet);
  return gone == nullptr ? unknownSa() : noFailure();
}

// To which hosts frames may go with their checksum not computed: those of which every SA says so.
void Engine::updatePartialHosts(Vnet& vnet) {
  std::vector<Endpoint> takers;
  std::vector<Endpoint> others;
  inbound_.mailbox().call([&] {
    inbound_.sas().forEach([&](const ReceiveSa& sa) {
      if (sa.vnet == &vnet && !sa.isOwn) {
        (sa.isPartialTaken ? takers : others).push_back(sa.host);
      }
    });
  });
  std::ranges::sort(takers);
  std::ranges::sort(others);
  std::vector<Endpoint> hosts;
  std::ranges::set_difference(takers, others, std::back_inserter(hosts));
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  outbound_.mailbox().call([&] { std::swap(vnet.partialHosts, hosts); });
}

// Another level, or no vnet any more: no key and no MAC of before is good. The outbound thread is
// first, so that nothing leaves under a key that is gone here.
void Engine::forgetSecurity(Vnet& vnet) {
  std::unique_ptr<SendSa> sendSa;
  std::vector<Endpoint> hosts;
  std::vector<std::unique_ptr<ReceiveSa>> receiveSas;
  outbound_.mailbox().call([&] {
    sendSa = std::move(vnet.sendSa);
    std::swap(vnet.partialHosts, hosts);
  });
  inbound_.mailbox().call([&] {
    receiveSas = inbound_.removeSasOf(vnet);
    inbound_.forgetFdb(vnet);
  });
}

// ---- control messages, listings ---------------------------------------------------------

Failure Engine::seal(const VnetId& id, const Endpoint& host, std::uint8_t nextHeader,
                     ByteSpan payload) {
  Vnet* const vnet = findVnet(id);
  if (vnet == nullptr) {
    return unknownVnet(id);
  }
  if (std::ranges::find(kControlNextHeaders, nextHeader) == kControlNextHeaders.end()) {
    return refuse(EINVAL, "The next header of a control message is 17 or 59");
  }
  if (payload.size() > kSealedControlBytesMax) {
    return refuse(EMSGSIZE, "The control message is too long");
  }
  Failure failure;
  outbound_.mailbox().call(
      [&] { failure = outbound_.sealControl(*vnet, host, nextHeader, payload); });
  return failure;
}

Failure Engine::apply(const control::SealTo& command) {
  if (!command.host.ip().isHost() || command.host.udpPort == 0) {
    return refuse(EINVAL, "A control message needs its host's address and port");
  }
  return seal(command.vnet, command.host, command.nextHeader, command.payload);
}

Failure Engine::apply(const control::SealFlood& command) {
  return seal(command.vnet, {}, command.nextHeader, command.payload);
}

Failure Engine::list(const control::ListSas& command, const MessageSink& answer) {
  if (!command.vnet.isZero() && findVnet(command.vnet) == nullptr) {
    return unknownVnet(command.vnet);
  }
  std::vector<control::SaState> states;
  const auto isWanted = [&](const VnetId& id, std::uint32_t spi) {
    return (command.vnet.isZero() || command.vnet == id) &&
           (command.spi == 0 || command.spi == spi);
  };
  outbound_.mailbox().call([&] {
    for (const auto& [id, vnet] : vnets_) {
      if (vnet->sendSa != nullptr && isWanted(id, vnet->sendSa->spi)) {
        states.push_back(describe(*vnet->sendSa, id));
      }
    }
  });
  const std::uint64_t nowMs = monotonicMs();
  inbound_.mailbox().call([&] {
    inbound_.sas().forEach([&](const ReceiveSa& sa) {
      if (!sa.isOwn && isWanted(sa.vnet->settings.id, sa.spi)) {
        states.push_back(describe(sa, nowMs));
      }
    });
  });
  for (const control::SaState& state : states) {
    answer(state);
  }
  return noFailure();
}

}  // namespace vnetd
