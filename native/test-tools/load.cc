#include "load.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

namespace vnetd {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// A signal handler reaches nothing but a global.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
volatile std::sig_atomic_t stopAsked = 0;

void askStop(int /*signal*/) { stopAsked = 1; }

// Sleeps to keep `sent` datagrams at `rate` a second; no rate, no sleep.
void pace(Clock::time_point start, std::uint64_t sent, std::uint64_t rate) {
  if (rate != 0) {
    std::this_thread::sleep_until(
        start + std::chrono::duration_cast<Clock::duration>(
                    Seconds(static_cast<double>(sent) / static_cast<double>(rate))));
  }
}

// How many to send at once: at a rate, no more than 2 ms worth, so that the flow stays smooth.
std::size_t batchFor(std::uint64_t rate) {
  return rate == 0 ? Batch::kCount : std::clamp<std::size_t>(rate / 500, 1, Batch::kCount);
}

}  // namespace

void stopOnSignals() {
  struct sigaction action {};
  action.sa_handler = askStop;
  (void)sigaction(SIGTERM, &action, nullptr);
  (void)sigaction(SIGINT, &action, nullptr);
}

bool isStopAsked() { return stopAsked != 0; }

Batch::Batch(std::size_t bytes) : buffers(kCount, Octets(bytes)) {
  for (std::size_t index = 0; index < kCount; ++index) {
    parts[index] = {buffers[index].data(), buffers[index].size()};
    messages[index].msg_hdr.msg_iov = &parts[index];
    messages[index].msg_hdr.msg_iovlen = 1;
  }
}

Load readLoad(const Options& options) {
  return {.rate = options.number("rate", 0),
          .countMax = options.number("count", UINT64_MAX),
          .seconds = static_cast<double>(options.number("seconds", 86'400))};
}

void sendLoad(int descriptor, Batch& batch, const Load& load,
              const std::function<void(std::uint64_t number, std::size_t index)>& fill) {
  const auto start = Clock::now();
  std::uint64_t sent = 0;
  while (!isStopAsked() && sent < load.countMax &&
         Seconds(Clock::now() - start).count() < load.seconds) {
    const auto count = std::min<std::uint64_t>(batchFor(load.rate), load.countMax - sent);
    for (std::size_t index = 0; index < count; ++index) {
      fill(sent + index, index);
    }
    const int done =
        sendmmsg(descriptor, batch.messages.data(), static_cast<unsigned int>(count), 0);
    if (done > 0) {
      sent += static_cast<std::uint64_t>(done);
    } else if (errno != EINTR && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED) {
      failErrno("sendmmsg");
    }
    pace(start, sent, load.rate);
  }
  const double elapsed = Seconds(Clock::now() - start).count();
  writeOut("{\"sent\":" + std::to_string(sent) + ",\"seconds\":" + std::to_string(elapsed) + "}\n");
}

}  // namespace vnetd
