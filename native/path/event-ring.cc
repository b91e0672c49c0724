#include "path/event-ring.h"

#include <sys/eventfd.h>

#include <algorithm>

namespace vnetd {
namespace {

// Before each event its length, so that the reader need not know the messages.
constexpr std::size_t kRecordHeaderBytes = sizeof(std::uint32_t);

}  // namespace

Failure EventRing::open() {
  allocate();
  return openBell();
}

void EventRing::allocate() {
  octets_.resize(bytes_);
  scratch_.resize(eventBytesMax_);
}

void EventRing::release() {
  octets_ = {};
  scratch_ = {};
  read_.store(written_.load());
}

Failure EventRing::openBell() {
  bell_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return bell_.valid() ? noFailure() : failureOf("Cannot make an event descriptor");
}

void EventRing::copyIn(std::uint64_t at, ByteSpan bytes) {
  const std::size_t start = at % bytes_;
  const std::size_t untilEnd = std::min(bytes.size(), bytes_ - start);
  std::memcpy(octets_.data() + start, bytes.data(), untilEnd);
  std::memcpy(octets_.data(), bytes.data() + untilEnd, bytes.size() - untilEnd);
}

void EventRing::copyOut(std::uint64_t at, MutableByteSpan bytes) const {
  const std::size_t start = at % bytes_;
  const std::size_t untilEnd = std::min(bytes.size(), bytes_ - start);
  std::memcpy(bytes.data(), octets_.data() + start, untilEnd);
  std::memcpy(bytes.data() + untilEnd, octets_.data(), bytes.size() - untilEnd);
}

bool EventRing::pushBytes(ByteSpan bytes) {
  const std::uint64_t written = written_.load(std::memory_order_relaxed);
  const std::uint64_t inUse = written - read_.load(std::memory_order_acquire);
  if (inUse + kRecordHeaderBytes + bytes.size() > bytes_) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    pushed_ = true;  // The control thread has to hear of the loss too.
    return false;
  }
  std::array<std::byte, kRecordHeaderBytes> header{};
  storeU32(header.data(), static_cast<std::uint32_t>(bytes.size()));
  copyIn(written, header);
  copyIn(written + kRecordHeaderBytes, bytes);
  written_.store(written + kRecordHeaderBytes + bytes.size(), std::memory_order_release);
  pushed_ = true;
  return true;
}

void EventRing::wake() {
  if (!pushed_) {
    return;
  }
  pushed_ = false;
  const std::uint64_t ring = 1;
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &ring, sizeof ring);
}

void EventRing::silence() {
  std::uint64_t rings = 0;
  [[maybe_unused]] const ssize_t taken = ::read(bell_.get(), &rings, sizeof rings);
}

ByteSpan EventRing::pop(MutableByteSpan out) {
  const std::uint64_t read = read_.load(std::memory_order_relaxed);
  if (read == written_.load(std::memory_order_acquire)) {
    return {};
  }
  std::array<std::byte, kRecordHeaderBytes> header{};
  copyOut(read, header);
  const std::size_t bytes = loadU32(header.data());
  const MutableByteSpan event = out.first(bytes);
  copyOut(read + kRecordHeaderBytes, event);
  read_.store(read + kRecordHeaderBytes + bytes, std::memory_order_release);
  return event;
}

}  // namespace vnetd
