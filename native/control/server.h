// The control thread: vnetd's commands, the workers' events, signals, and the clock.
//
// One vnetd at a time: a connection that says Hello replaces the one before. Without a connection
// frames go on as before, and events are dropped: the next vnetd asks for the listings.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "control/connection.h"
#include "control/engine.h"
#include "control/messages.h"
#include "host/failure.h"
#include "host/file-descriptor.h"
#include "host/service-manager.h"
#include "path/event-ring.h"

namespace vnetd {

struct ServerInfo {
  std::uint16_t udpPort = 0;
  // Hangs up when the opener is gone (host/opener.h). Negative: there is none.
  int openerChannel = -1;
  // The command line's switches, for a person.
  std::string options;
  // What went otherwise than asked for at start; told to the first vnetd.
  std::vector<std::string> startNotes;
};

class Server {
 public:
  // `listener` listens; `signals` is a signalfd of the signals that end us. `manager` is told of
  // every second in which all threads got on, and outlives the server.
  Server(Engine& engine, const ServiceManager& manager, FileDescriptor listener,
         FileDescriptor signals, ServerInfo info);

  Failure open();
  // Serves until Shutdown, a signal, or the end of the opener.
  void run();

 private:
  using Connections = std::list<Connection>;

  Failure watch(int descriptor, std::uint64_t tag);
  void handle(std::uint64_t tag, std::uint32_t events);
  void loseOpener();
  void acceptConnections();
  void handleConnection(Connection& connection, std::uint32_t events);
  bool takeCommands(Connection& connection);
  void execute(Connection& connection, std::uint32_t sequence, const control::Message& message);
  void executeHello(Connection& connection, std::uint32_t sequence, const control::Hello& hello);
  Failure dispatch(Connection& connection, std::uint32_t sequence, const control::Message& message);
  void finish(Connection& connection, std::uint32_t sequence, const Failure& failure) const;
  void flush(Connection& connection);
  void dropConnections();

  void passEvents(EventRing& ring);
  void passCaptures();
  void takeWorkersWord();
  void tellOffloads();
  void tellLost();
  void sendEvent(const control::Message& message);
  void log(std::uint8_t level, const std::string& text);
  void tick();
  [[nodiscard]] Connection* active();

  Engine& engine_;
  const ServiceManager& manager_;
  FileDescriptor listener_;
  FileDescriptor signals_;
  ServerInfo info_;
  FileDescriptor epoll_;
  std::uint64_t bootId_ = 0;
  bool stopped_ = false;
  std::uint64_t nextTickMs_ = 0;
  Connections connections_;
  // Events that no queue had room for, not yet told.
  std::uint32_t lost_ = 0;
  control::OffloadChanged toldOffloads_;
  std::array<std::byte, kEventBytesMax> event_{};
  std::vector<std::byte> captured_;
};

}  // namespace vnetd
