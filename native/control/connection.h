// One connection of vnetd: octets in, messages out; bounded, and never waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "control/messages.h"
#include "host/file-descriptor.h"
#include "wire/bytes.h"
#include "wire/secret.h"

namespace vnetd {

class Connection {
 public:
  // Above so many octets that vnetd has not read, its commands wait and events are lost.
  static constexpr std::size_t kBacklogBytesMax = std::size_t{4} << 20U;

  explicit Connection(FileDescriptor socket) : socket_(std::move(socket)) {}

  [[nodiscard]] int descriptor() const { return socket_.get(); }
  [[nodiscard]] bool isOpen() const { return socket_.valid(); }
  [[nodiscard]] bool isGreeted() const { return greeted_; }
  void greet() { greeted_ = true; }
  void close() { socket_.reset(); }

  // Takes what has arrived. False: the other end is gone.
  bool receive();

  // The next whole message; kNeedMore when there is none.
  control::DecodedMessage next();

  // Answers: always queued.
  void answer(std::uint32_t sequence, const control::Message& message);
  // Events, encoded: false when vnetd is too far behind.
  bool queueEvent(ByteSpan encoded);

  // Sends what the socket takes. False: the other end is gone.
  bool flush();

  [[nodiscard]] std::size_t backlogBytes() const { return out_.size() - sent_; }
  [[nodiscard]] bool isBehind() const { return backlogBytes() > kBacklogBytesMax; }

 private:
  FileDescriptor socket_;
  bool greeted_ = false;
  // Traffic keys pass through it.
  Secret in_;
  std::size_t taken_ = 0;
  std::vector<std::byte> out_;
  std::size_t sent_ = 0;
};

}  // namespace vnetd
