#include "path/mailbox.h"

#include <poll.h>

#include <atomic>
#include <thread>

#include "test/check.h"

namespace vnetd {
namespace {

// A worker that does nothing but serve its mailbox.
class IdleWorker {
 public:
  explicit IdleWorker(Mailbox& mailbox) : thread_([this, &mailbox] { run(mailbox); }) {}
  ~IdleWorker() { thread_.join(); }
  IdleWorker(const IdleWorker&) = delete;
  IdleWorker& operator=(const IdleWorker&) = delete;
  IdleWorker(IdleWorker&&) = delete;
  IdleWorker& operator=(IdleWorker&&) = delete;

  void stop() { stopped_ = true; }
  [[nodiscard]] std::thread::id id() const { return thread_.get_id(); }
  [[nodiscard]] int rounds() const { return rounds_; }

 private:
  void run(Mailbox& mailbox) {
    while (!stopped_) {
      pollfd one{.fd = mailbox.descriptor(), .events = POLLIN, .revents = 0};
      ::poll(&one, 1, -1);
      ++rounds_;
      mailbox.serve();
    }
  }

  bool stopped_ = false;  // Only its own thread touches it: stop() is called through the mailbox.
  std::atomic<int> rounds_ = 0;
  std::thread thread_;
};

TEST("a call has been run by the worker when it returns") {
  Mailbox mailbox;
  REQUIRE(!mailbox.open().failed());
  IdleWorker worker(mailbox);
  const std::thread::id workerId = worker.id();
  int count = 0;  // Not atomic: the call orders the two threads.
  for (int round = 1; round <= 5'000; ++round) {
    std::thread::id ranBy;
    mailbox.call([&] {
      ++count;
      ranBy = std::this_thread::get_id();
    });
    CHECK_EQ(count, round);
    CHECK(ranBy == workerId);
  }
  mailbox.call([&worker] { worker.stop(); });
}

TEST("a ring begins a round without a task, and does not hide one") {
  Mailbox mailbox;
  REQUIRE(!mailbox.open().failed());
  IdleWorker worker(mailbox);
  std::atomic<bool> stopped = false;
  std::thread ringer([&] {
    while (!stopped) {
      mailbox.ring();
      std::this_thread::yield();
    }
  });
  int count = 0;
  for (int round = 0; round < 2'000; ++round) {
    mailbox.call([&count] { ++count; });
  }
  stopped = true;
  ringer.join();
  CHECK_EQ(count, 2'000);
  CHECK(worker.rounds() > 0);
  mailbox.call([&worker] { worker.stop(); });
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
