#include "control/server.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <type_traits>
#include <utility>
#include <variant>

#include "host/clock.h"
#include "tables/keyed-hash.h"

namespace vnetd {
namespace {

// Anything above is a connection's descriptor plus kTagConnection.
constexpr std::uint64_t kTagListener = 0;
constexpr std::uint64_t kTagSignals = 1;
constexpr std::uint64_t kTagOutboundEvents = 2;
constexpr std::uint64_t kTagInboundEvents = 3;
constexpr std::uint64_t kTagOutboundCaptures = 4;
constexpr std::uint64_t kTagInboundCaptures = 5;
constexpr std::uint64_t kTagOpener = 6;
constexpr std::uint64_t kTagConnection = 7;

constexpr std::uint64_t kTickMs = 1000;
constexpr int kEpollEvents = 16;
// What vnetd has not read yet, above which captured frames wait: they shall not make other events
// lost.
constexpr std::size_t kCaptureBacklogBytesMax = std::size_t{1} << 20U;
// vnetd, its successor while it takes over, and a person with a question.
constexpr std::size_t kConnectionsMax = 8;

constexpr std::uint8_t kLogWarn = 2;

template <class Command, class... Others>
constexpr bool kIsOneOf = (std::is_same_v<Command, Others> || ...);

}  // namespace

Server::Server(Engine& engine, const ServiceManager& manager, FileDescriptor listener,
               FileDescriptor signals, ServerInfo info)
    : engine_(engine),
      manager_(manager),
      listener_(std::move(listener)),
      signals_(std::move(signals)),
      info_(std::move(info)),
      bootId_(HashKey::random().first) {}

Failure Server::watch(int descriptor, std::uint64_t tag) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return failureOf("Cannot wait for the control socket");
  }
  return noFailure();
}

Failure Server::open() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) {
    return failureOf("Cannot make an epoll descriptor");
  }
  const std::array<std::pair<int, std::uint64_t>, 6> watched{{
      {listener_.get(), kTagListener},
      {signals_.get(), kTagSignals},
      {engine_.outboundEvents().descriptor(), kTagOutboundEvents},
      {engine_.inboundEvents().descriptor(), kTagInboundEvents},
      {engine_.outboundCaptures().descriptor(), kTagOutboundCaptures},
      {engine_.inboundCaptures().descriptor(), kTagInboundCaptures},
  }};
  for (const auto& [descriptor, tag] : watched) {
    if (Failure failure = watch(descriptor, tag); failure.failed()) {
      return failure;
    }
  }
  if (info_.openerChannel >= 0) {
    if (Failure failure = watch(info_.openerChannel, kTagOpener); failure.failed()) {
      return failure;
    }
  }
  const OffloadState& offloads = engine_.context().offloads;
  toldOffloads_ = {.tapOffload = offloads.tap.load(),
                   .udpSegmentation = offloads.udpSegmentation.load(),
                   .udpCoalescing = offloads.udpCoalescing.load()};
  return noFailure();
}

void Server::run() {
  std::array<epoll_event, kEpollEvents> ready{};
  nextTickMs_ = monotonicMs() + kTickMs;
  while (!stopped_) {
    const std::uint64_t nowMs = monotonicMs();
    const int timeoutMs = static_cast<int>(nextTickMs_ - std::min(nextTickMs_, nowMs));
    const int count = ::epoll_wait(epoll_.get(), ready.data(), kEpollEvents, timeoutMs);
    for (int index = 0; index < count; ++index) {
      const epoll_event& event = ready.at(static_cast<std::size_t>(index));
      handle(event.data.u64, event.events);
    }
    if (monotonicMs() >= nextTickMs_) {
      tick();
    }
    dropConnections();
  }
}

void Server::handle(std::uint64_t tag, std::uint32_t events) {
  if (tag == kTagListener) {
    acceptConnections();
  } else if (tag == kTagSignals) {
    signalfd_siginfo signal{};
    stopped_ = ::read(signals_.get(), &signal, sizeof signal) > 0;
  } else if (tag == kTagOpener) {
    loseOpener();
  } else if (tag == kTagOutboundEvents) {
    passEvents(engine_.outboundEvents());
  } else if (tag == kTagInboundEvents) {
    passEvents(engine_.inboundEvents());
  } else if (tag == kTagOutboundCaptures || tag == kTagInboundCaptures) {
    (tag == kTagOutboundCaptures ? engine_.outboundCaptures() : engine_.inboundCaptures())
        .silence();
    passCaptures();
  } else {
    const int descriptor = static_cast<int>(tag - kTagConnection);
    const auto found = std::ranges::find_if(connections_, [&](const Connection& connection) {
      return connection.descriptor() == descriptor;
    });
    if (found != connections_.end()) {
      handleConnection(*found, events);
    }
  }
}

// No interface could be attached any more, and no other opener can be made without privileges. The
// next vnet-dp has one: vnetd starts it at once, and it takes all vnets over.
void Server::loseOpener() {
  log(kLogWarn, "The opener of /dev/net/tun is gone: vnet-dp ends, to be replaced");
  if (Connection* const connection = active()) {
    connection->flush();
  }
  stopped_ = true;
}

void Server::tick() {
  nextTickMs_ = monotonicMs() + kTickMs;
  if (engine_.tick()) {
    manager_.tellAlive();
  }
  takeWorkersWord();
  if (Connection* const connection = active()) {
    flush(*connection);
  }
}

// ---- connections ------------------------------------------------------------------------

void Server::acceptConnections() {
  FileDescriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid() || connections_.size() >= kConnectionsMax) {
    return;
  }
  const int descriptor = socket.get();
  if (!watch(descriptor, kTagConnection + static_cast<std::uint64_t>(descriptor)).failed()) {
    connections_.emplace_back(std::move(socket));
  }
}

void Server::handleConnection(Connection& connection, std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (!connection.receive()) {
      connection.close();
      return;
    }
  }
  static_cast<void>(takeCommands(connection));
  flush(connection);
  passCaptures();
}

// True when there was a command.
bool Server::takeCommands(Connection& connection) {
  bool isAny = false;
  while (connection.isOpen() && !connection.isBehind()) {
    const control::DecodedMessage decoded = connection.next();
    if (decoded.status == control::DecodeStatus::kNeedMore) {
      break;
    }
    if (decoded.status == control::DecodeStatus::kMalformed) {
      connection.close();
      break;
    }
    execute(connection, decoded.sequence, decoded.message);
    isAny = true;
  }
  return isAny;
}

// Writing waits for nothing: what the socket does not take is sent when epoll says so.
void Server::flush(Connection& connection) {
  // Commands that waited for room have it now, and leave answers of their own.
  do {
    if (!connection.isOpen()) {
      return;
    }
    if (!connection.flush()) {
      connection.close();
      return;
    }
  } while (takeCommands(connection));
  if (!connection.isOpen()) {
    return;
  }
  // A vnetd that does not read is not read from either, and answers are not lost.
  const std::uint32_t wanted =
      (connection.isBehind() ? 0U : EPOLLIN) | (connection.backlogBytes() != 0 ? EPOLLOUT : 0U);
  epoll_event event{
      .events = wanted,
      .data = {.u64 = kTagConnection + static_cast<std::uint64_t>(connection.descriptor())}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.descriptor(), &event);
  if (connection.isGreeted() && !connection.isBehind()) {
    tellLost();
  }
}

void Server::dropConnections() {
  std::erase_if(connections_, [](const Connection& connection) { return !connection.isOpen(); });
  if (active() == nullptr) {
    engine_.stopCaptures();
  }
}

Connection* Server::active() {
  const auto found = std::ranges::find_if(connections_, [](const Connection& connection) {
    return connection.isGreeted() && connection.isOpen();
  });
  return found == connections_.end() ? nullptr : &*found;
}

// ---- commands ---------------------------------------------------------------------------

void Server::execute(Connection& connection, std::uint32_t sequence,
                     const control::Message& message) {
  takeWorkersWord();
  if (const auto* const hello = std::get_if<control::Hello>(&message)) {
    executeHello(connection, sequence, *hello);
    return;
  }
  // A vnetd that speaks another version can end this process, to have one of its own.
  if (!connection.isGreeted() && !std::holds_alternative<control::Shutdown>(message)) {
    finish(connection, sequence, {.error = EPROTO, .message = "Hello comes first"});
    connection.flush();
    connection.close();
    return;
  }
  finish(connection, sequence, dispatch(connection, sequence, message));
}

void Server::executeHello(Connection& connection, std::uint32_t sequence,
                          const control::Hello& hello) {
  if (hello.version != control::kControlVersion) {
    finish(connection, sequence,
           {.error = EPROTO,
            .message = "This vnet-dp speaks version " + std::to_string(control::kControlVersion) +
                       ", not " + std::to_string(hello.version)});
    connection.flush();
    connection.close();
    return;
  }
  for (Connection& other : connections_) {
    if (&other != &connection && other.isGreeted()) {
      other.close();
    }
  }
  engine_.stopCaptures();
  connection.greet();
  const WorkerContext& context = engine_.context();
  connection.answer(sequence,
                    control::Welcome{.version = control::kControlVersion,
                                     .pid = static_cast<std::uint32_t>(::getpid()),
                                     .bootId = bootId_,
                                     .udpPort = info_.udpPort,
                                     .tapOffload = context.offloads.tap.load(),
                                     .udpSegmentation = context.offloads.udpSegmentation.load(),
                                     .udpCoalescing = context.offloads.udpCoalescing.load(),
                                     .ipv6 = context.sockets.udp6.valid(),
                                     .rawSocket = context.sockets.raw4.valid(),
                                     .options = info_.options});
  finish(connection, sequence, noFailure());
  lost_ = 0;  // It asks for the listings in any case.
  for (const std::string& note : std::exchange(info_.startNotes, {})) {
    log(kLogWarn, note);
  }
}

Failure Server::dispatch(Connection& connection, std::uint32_t sequence,
                         const control::Message& message) {
  const MessageSink answer = [&](const control::Message& one) { connection.answer(sequence, one); };
  return std::visit(
      [&]<class Command>(const Command& command) -> Failure {
        if constexpr (kIsOneOf<Command, control::GetState, control::ListFdb, control::ListVifs,
                               control::ListSas, control::ListPathMtus, control::GetCounters>) {
          return engine_.list(command, answer);
        } else if constexpr (std::is_same_v<Command, control::Shutdown>) {
          stopped_ = true;
          return noFailure();
        } else if constexpr (requires { engine_.apply(command); }) {
          return engine_.apply(command);
        } else {
          return {.error = EPROTO, .message = "Not a command"};
        }
      },
      message);
}

void Server::finish(Connection& connection, std::uint32_t sequence, const Failure& failure) const {
  connection.answer(sequence, control::Result{.error = static_cast<std::uint32_t>(failure.error),
                                              .message = failure.message});
  if (stopped_) {
    connection.flush();
  }
}

// ---- events -----------------------------------------------------------------------------

void Server::passEvents(EventRing& ring) {
  ring.silence();
  Connection* const connection = active();
  for (ByteSpan event = ring.pop(event_); !event.empty(); event = ring.pop(event_)) {
    if (connection != nullptr && !connection->queueEvent(event)) {
      ++lost_;
      engine_.countLostEvents(1);
    }
  }
  takeWorkersWord();
  if (connection != nullptr) {
    flush(*connection);
  }
}

// What does not find room here stays in the rings, and what does not find room there is lost.
void Server::passCaptures() {
  Connection* const connection = active();
  if (connection == nullptr) {
    return;
  }
  captured_.resize(Capturer::kEventBytesMax);
  bool isAny = false;
  for (EventRing* const ring : {&engine_.outboundCaptures(), &engine_.inboundCaptures()}) {
    while (connection->backlogBytes() < kCaptureBacklogBytesMax) {
      const ByteSpan event = ring->pop(captured_);
      if (event.empty() || !connection->queueEvent(event)) {
        break;
      }
      isAny = true;
    }
  }
  if (isAny) {
    flush(*connection);
  }
}

void Server::takeWorkersWord() {
  for (EventRing* const ring : {&engine_.outboundEvents(), &engine_.inboundEvents()}) {
    if (const std::uint32_t lost = ring->takeLost(); lost != 0) {
      lost_ += lost;
      engine_.countLostEvents(lost);
    }
  }
  engine_.care([this](const control::Message& event) { sendEvent(event); });
  tellOffloads();
  tellLost();
}

void Server::tellLost() {
  Connection* const connection = active();
  if (lost_ == 0 || connection == nullptr || connection->isBehind()) {
    return;
  }
  sendEvent(control::EventsLost{.count = std::exchange(lost_, 0)});
}

void Server::tellOffloads() {
  const OffloadState& offloads = engine_.context().offloads;
  const control::OffloadChanged now{.tapOffload = offloads.tap.load(),
                                    .udpSegmentation = offloads.udpSegmentation.load(),
                                    .udpCoalescing = offloads.udpCoalescing.load()};
  if (now == toldOffloads_) {
    return;
  }
  if (!now.udpSegmentation && toldOffloads_.udpSegmentation) {
    log(kLogWarn, "The kernel refused UDP segmentation; datagrams are sent one by one from now");
  }
  if (!now.tapOffload && toldOffloads_.tapOffload) {
    log(kLogWarn, "The kernel refused TAP offloads; frames are passed one by one from now");
  }
  toldOffloads_ = now;
  sendEvent(now);
}

void Server::sendEvent(const control::Message& message) {
  Connection* const connection = active();
  const std::size_t bytes = control::encodeAnyMessage(event_, 0, message);
  if (connection != nullptr && !connection->queueEvent(ByteSpan(event_).first(bytes))) {
    ++lost_;
    engine_.countLostEvents(1);
  }
}

void Server::log(std::uint8_t level, const std::string& text) {
  sendEvent(control::Log{.level = level, .text = text});
}

}  // namespace vnetd
