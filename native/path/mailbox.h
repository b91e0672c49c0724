// A closure that the control thread has another thread run, between two of its rounds.
//
// This is how everything changes that a worker uses: the worker itself changes it, at a point
// where it holds no pointer into it, and the control thread waits until that is done. So no data
// of a worker needs a lock, and what call() returned from can be freed. Workers never wait.
//
//   control: mailbox.call([&] { worker.setUnderlay(next); });  → delete former
//   worker:  epoll_wait … frames … mailbox.serve()
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "host/failure.h"
#include "host/file-descriptor.h"

namespace vnetd {

class Mailbox {
 public:
  Failure open();

  // For the worker's epoll: readable when serve() has something to do.
  [[nodiscard]] int descriptor() const { return bell_.get(); }

  // Control thread only, while the worker runs. Returns when the worker has run `task`.
  template <typename Task>
  void call(Task&& task) {
    using Stored = std::remove_reference_t<Task>;
    post([](void* erased) { (*static_cast<Stored*>(erased))(); }, std::addressof(task));
  }

  // Any thread: has the worker begin a round, to look at what was handed over to it.
  void ring();

  // Worker only: runs what waits, if anything does.
  void serve();

 private:
  using Run = void (*)(void*);

  void post(Run run, void* task);

  FileDescriptor bell_;
  Run run_ = nullptr;
  void* task_ = nullptr;
  // 0: nothing waits; 1: run_ and task_ are set, the worker's turn.
  std::atomic<int> waiting_{0};
};

}  // namespace vnetd
