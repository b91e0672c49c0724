#include "path/mailbox.h"

#include <sys/eventfd.h>

#include <cstdint>

namespace vnetd {

Failure Mailbox::open() {
  bell_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return bell_.valid() ? noFailure() : failureOf("Cannot make an event descriptor");
}

void Mailbox::ring() {
  const std::uint64_t rings = 1;
  // Cannot fail: the count is read each time and never near its limit.
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &rings, sizeof rings);
}

void Mailbox::post(Run run, void* task) {
  run_ = run;
  task_ = task;
  waiting_.store(1, std::memory_order_release);
  ring();
  waiting_.wait(1, std::memory_order_acquire);
}

void Mailbox::serve() {
  // Before the look at waiting_, or a task posted between the two would not be noticed.
  std::uint64_t rings = 0;
  [[maybe_unused]] const ssize_t taken = ::read(bell_.get(), &rings, sizeof rings);
  if (waiting_.load(std::memory_order_acquire) == 0) {
    return;
  }
  run_(task_);
  waiting_.store(0, std::memory_order_release);
  waiting_.notify_one();
}

}  // namespace vnetd
