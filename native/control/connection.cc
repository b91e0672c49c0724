#include "control/connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace vnetd {
namespace {

constexpr std::size_t kReceiveBytes = std::size_t{64} * 1024;
constexpr std::size_t kAnswerBytes = 512;

template <class Octets>
void dropFront(Octets& octets, std::size_t& used) {
  octets.erase(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(used));
  used = 0;
}

}  // namespace

bool Connection::receive() {
  if (taken_ != 0) {
    dropFront(in_, taken_);
  }
  const std::size_t before = in_.size();
  in_.resize(before + kReceiveBytes);
  const ssize_t got = ::recv(socket_.get(), in_.data() + before, kReceiveBytes, MSG_DONTWAIT);
  const int error = errno;
  in_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  return got > 0 || (got < 0 && (error == EAGAIN || error == EINTR));
}

control::DecodedMessage Connection::next() {
  control::DecodedMessage decoded = control::decodeMessage(ByteSpan(in_).subspan(taken_));
  explicit_bzero(in_.data() + taken_, decoded.consumedBytes);
  taken_ += decoded.consumedBytes;
  return decoded;
}

void Connection::answer(std::uint32_t sequence, const control::Message& message) {
  for (std::size_t room = kAnswerBytes; room <= control::kMessageBytesMax * 2; room *= 8) {
    const std::size_t before = out_.size();
    out_.resize(before + room);
    const std::size_t bytes =
        control::encodeAnyMessage(MutableByteSpan(out_).subspan(before), sequence, message);
    out_.resize(before + bytes);
    if (bytes != 0) {
      return;
    }
  }
}

bool Connection::queueEvent(ByteSpan encoded) {
  if (isBehind()) {
    return false;
  }
  out_.insert(out_.end(), encoded.begin(), encoded.end());
  return true;
}

bool Connection::flush() {
  while (sent_ < out_.size()) {
    const ssize_t sent = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (sent_ > out_.size() / 2) {
        dropFront(out_, sent_);
      }
      return errno == EAGAIN;
    }
    sent_ += static_cast<std::size_t>(sent);
  }
  out_.clear();
  sent_ = 0;
  return true;
}

}  // namespace vnetd
