// Prints what sealing and opening one frame costs, in nanoseconds, for each suite. Not a test: the
// figures are for reading (the budget is 1.12 µs a packet, all told, at 10 Gbit/s).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <variant>
#include <vector>

#include "crypto/libcrypto.h"
#include "crypto/open-key.h"
#include "crypto/seal-key.h"
#include "tables/replay-window.h"

namespace vnetd {
namespace {

// Short rounds, so that some of them pass undisturbed on a busy machine.
constexpr int kRounds = 400;
constexpr int kRepeats = 1'000;
constexpr std::size_t kHeaderBytes = 66;  // Ethernet, IPv4, TCP with time stamps
constexpr std::size_t kPayloadsApart = 46;

using Clock = std::chrono::steady_clock;

// The best of a few rounds: the machine does other things too.
template <typename Work>
double nanosecondsOf(Work&& work) {
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point start = Clock::now();
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      work(static_cast<std::size_t>(repeat));
    }
    const std::chrono::duration<double, std::nano> spent = Clock::now() - start;
    best = std::min(best, spent.count() / kRepeats);
  }
  return best;
}

struct Row {
  Suite suite;
  std::string_view name;
};
constexpr std::array kRows{
    Row{Suite::kAes128Gcm, "aes128-gcm"}, Row{Suite::kAes256Gcm, "aes256-gcm"},
    Row{Suite::kHmacSha256, "hmac-sha256-128"}, Row{Suite::kHmacSha1, "hmac96"},
    Row{Suite::kAes128CbcHmacSha1, "aes128-hmac96"}};

// As the data plane does it: the header from the segmenter's arena, the payload from the
// super-frame, the packet into the next place of the send arena.
double sealNs(SealKey& key, std::size_t frameBytes) {
  const std::size_t headerBytes = std::min(kHeaderBytes, frameBytes);
  const std::size_t payloadBytes = frameBytes - headerBytes;
  const std::vector<std::byte> header(headerBytes, std::byte{1});
  const std::vector<std::byte> super(std::max<std::size_t>(1, payloadBytes) * kPayloadsApart);
  const std::size_t packetBytes = sealedFrameBytes(key.suite(), frameBytes);
  std::vector<std::byte> arena(packetBytes * kPayloadsApart);
  std::uint64_t counter = 0;
  return nanosecondsOf([&](std::size_t i) {
    const std::size_t place = i % kPayloadsApart;
    const std::size_t size = key.sealFrame(
        ++counter, 0, header, ByteSpan(super).subspan(place * payloadBytes, payloadBytes),
        MutableByteSpan(arena).subspan(place * packetBytes));
    if (size != packetBytes) {
      std::abort();
    }
  });
}

// Copying the packet is a part of it: opening in place leaves nothing to open again.
double openNs(SealKey& sealKey, OpenKey& openKey, std::uint64_t firstCounter,
              std::size_t frameBytes) {
  const std::vector<std::byte> frame(frameBytes, std::byte{1});
  std::vector<std::byte> sealed(sealedFrameBytes(openKey.suite(), frameBytes));
  std::vector<std::byte> packet(sealed.size());
  if (sealKey.sealFrame(firstCounter, 0, frame, {}, sealed) == 0) {
    std::abort();
  }
  return nanosecondsOf([&](std::size_t) {
    std::copy(sealed.begin(), sealed.end(), packet.begin());
    if (!std::holds_alternative<OpenedPacket>(openKey.open(MutableByteSpan(packet)))) {
      std::abort();
    }
  });
}

double replayNs() {
  ReplayWindow window;
  std::uint64_t counter = 0;
  return nanosecondsOf([&](std::size_t) {
    ++counter;
    if (window.check(counter) != ReplayWindow::Verdict::kFresh ||
        window.accept(counter) != ReplayWindow::Verdict::kFresh) {
      std::abort();
    }
  });
}

int run() {
  if (const Failure failure = prepareLibcrypto(); failure.failed()) {
    std::fprintf(stderr, "%s\n", failure.message.c_str());
    return EXIT_FAILURE;
  }
  std::printf("%-18s %12s %12s %12s %12s   ns a frame\n", "suite", "seal 64", "seal 1400",
              "open 64", "open 1400");
  for (const Row& row : kRows) {
    const std::vector<std::byte> material(suiteSizes(row.suite).keyBytes, std::byte{7});
    // One key for each series: a counter never goes back.
    auto seal64 = SealKey::make(row.suite, 0x10000001, material);
    auto seal1400 = SealKey::make(row.suite, 0x10000001, material);
    auto forOpen64 = SealKey::make(row.suite, 0x10000001, material);
    auto forOpen1400 = SealKey::make(row.suite, 0x10000001, material);
    auto open = OpenKey::make(row.suite, material);
    std::printf("%-18.*s %12.0f %12.0f %12.0f %12.0f\n", static_cast<int>(row.name.size()),
                row.name.data(), sealNs(*seal64, 64), sealNs(*seal1400, 1400),
                openNs(*forOpen64, *open, 1, 64), openNs(*forOpen1400, *open, 1, 1400));
  }
  std::printf("replay window: question and telling %.1f ns\n", replayNs());
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace vnetd

int main() { return vnetd::run(); }
