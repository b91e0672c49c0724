// The state that vnetd commands: vnets, peers, underlay, ages, and the two workers that carry
// frames by it. Runs in the control thread.
//
// A command either is done when its function returns, in both workers, or has changed nothing and
// says why.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "control/messages.h"
#include "host/opener.h"
#include "host/options.h"
#include "host/tap.h"
#include "path/inbound.h"
#include "path/outbound.h"
#include "path/underlay-view.h"
#include "path/worker-context.h"
#include "tables/quiescence.h"

namespace vnetd {

// Takes answers and events; what it does with them is the server's business.
using MessageSink = std::function<void(const control::Message&)>;

class Engine {
 public:
  // `context` and `opener` outlive the engine.
  Engine(WorkerContext& context, const Opener& opener, std::uint16_t udpPort);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  Engine(Engine&&) = delete;
  Engine& operator=(Engine&&) = delete;
  ~Engine();

  // Allocates and registers everything; the workers' threads wait for start().
  Failure open();
  // Lets the workers begin, after the system call filter stands.
  void start();
  void stop();

  Failure apply(const control::SetUnderlay& command);
  Failure apply(const control::SetAges& command);
  Failure apply(const control::SetVnet& command);
  Failure apply(const control::DeleteVnet& command);
  Failure apply(const control::SetFdb& command);
  Failure apply(const control::DeleteFdb& command);
  Failure apply(const control::FlushFdb& command);
  Failure apply(const control::PinVif& command);
  Failure apply(const control::DeleteVif& command);
  Failure apply(const control::SetPeer& command);
  Failure apply(const control::DeletePeer& command);
  Failure apply(const control::SendTo& command);
  Failure apply(const control::SendFlood& command);
  Failure apply(const control::SendProbe& command);
  Failure apply(const control::SetPathMtu& command);
  Failure apply(const control::StartCapture& command);
  Failure apply(const control::StopCapture& command);
  // engine-security.cc
  Failure apply(const control::SetSendSa& command);
  Failure apply(const control::SetReceiveSa& command);
  Failure apply(const control::ChangeReceiveSa& command);
  Failure apply(const control::DeleteSa& command);
  Failure apply(const control::SealTo& command);
  Failure apply(const control::SealFlood& command);

  Failure list(const control::GetState& command, const MessageSink& answer) const;
  Failure list(const control::ListFdb& command, const MessageSink& answer) const;
  Failure list(const control::ListVifs& command, const MessageSink& answer) const;
  Failure list(const control::GetCounters& command, const MessageSink& answer) const;
  Failure list(const control::ListSas& command, const MessageSink& answer);
  Failure list(const control::ListPathMtus& command, const MessageSink& answer) const;

  // What the workers left word of: tables that want to grow, TAPs that are gone. Before each
  // command and whenever a worker rings.
  void care(const MessageSink& event);
  // Once a second. False while a worker is stuck in one round.
  bool tick();

  // Nobody listens any more.
  void stopCaptures();

  [[nodiscard]] EventRing& outboundCaptures() { return outbound_.capturer().ring(); }
  [[nodiscard]] EventRing& inboundCaptures() { return inbound_.capturer().ring(); }
  [[nodiscard]] EventRing& outboundEvents() { return outbound_.events(); }
  [[nodiscard]] EventRing& inboundEvents() { return inbound_.events(); }
  [[nodiscard]] const WorkerContext& context() const { return context_; }
  void countLostEvents(std::uint64_t count);

 private:
  using CounterValues = std::array<std::uint64_t, kCounterCount>;

  void orderCapture(Vnet& vnet, std::uint32_t snapBytes);
  void endCapture(Vnet& vnet);
  [[nodiscard]] Vnet* findVnet(const VnetId& id) const;
  Failure attachTapOf(const std::string& name, FileDescriptor& tap);
  void handToWorkers(Vnet& vnet);
  void letGo(Vnet& vnet);
  void loseTap(Vnet& vnet, const MessageSink& event);
  void grow(Vnet& vnet);
  void exchangeView(std::unique_ptr<UnderlayView> next);
  Failure seal(const VnetId& id, const Endpoint& host, std::uint8_t nextHeader, ByteSpan payload);
  void forgetSecurity(Vnet& vnet);
  Failure addOwnSa(Vnet& vnet, const control::SetSendSa& command, Suite suite);
  Failure deleteSendSa(Vnet& vnet, std::uint32_t spi);
  [[nodiscard]] ReceiveSa* findReceiveSa(const Vnet& vnet, std::uint32_t spi,
                                         const Endpoint& host) const;
  void updatePartialHosts(Vnet& vnet);
  [[nodiscard]] std::unique_ptr<UnderlayView> copyView() const;
  void fillGroups(UnderlayView& view) const;

  WorkerContext& context_;
  const Opener& opener_;
  std::uint16_t udpPort_;
  HashKey tableKey_;
  Outbound outbound_;
  Inbound inbound_;
  DatagramSender sender_;
  Reemitter reemitter_;
  Reclaimer reclaimer_;
  // What both workers are to have passed by the next tick.
  std::uint64_t liveEpoch_ = 0;
  std::thread outboundThread_;
  std::thread inboundThread_;
  std::atomic<bool> started_{false};
  bool running_ = false;

  std::unordered_map<VnetId, std::unique_ptr<Vnet>> vnets_;
  // Counters of vnets that are gone: the process's sums never go back.
  CounterValues goneCounters_{};
  std::size_t captureCount_ = 0;
  control::SetUnderlay underlay_;
  std::unique_ptr<UnderlayView> view_;
  Ages ages_;

  struct OwnedPeer {
    Peer peer;
    std::unique_ptr<PeerCounters> counters;
  };
  std::vector<OwnedPeer> peers_;
};

}  // namespace vnetd
