// vnet-dp, the data plane of vnetd: carries the frames of virtual networks between hosts.
//
// Order of start: what needs privileges (pid file, sockets, self-test, the opener child), then
// the privileges go, then threads, then the system call filter, and only then the first octet
// from outside is looked at.
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "control/engine.h"
#include "control/server.h"
#include "crypto/libcrypto.h"
#include "host/opener.h"
#include "host/options.h"
#include "host/privileges.h"
#include "host/run-files.h"
#include "host/seccomp.h"
#include "host/self-test.h"
#include "host/service-manager.h"
#include "host/underlay-sockets.h"
#include "path/worker-context.h"

namespace vnetd {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

// What is opened with privileges and used without.
struct Resources {
  FileDescriptor pidFile;
  // The pid file is locked.
  bool isAlone = false;
  FileDescriptor listener;
  FileDescriptor signals;
  FileDescriptor nowhere;
  ServiceManager serviceManager;
  Opener opener;
  UserIds user;
  std::vector<std::string> notes;
};

Failure openSignals(FileDescriptor& signals) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  // Before threads exist: all inherit the mask, and only the signalfd sees them.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there are none yet.
  if (sigprocmask(SIG_BLOCK, &ending, nullptr) != 0) {
    return failureOf("Cannot block signals");
  }
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  static_cast<void>(std::signal(SIGHUP, SIG_IGN));
  signals.reset(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  return signals.valid() ? noFailure() : failureOf("Cannot make a signal descriptor");
}

// What the switches ask for and this machine can do.
void chooseOffloads(const Options& options, const OffloadSupport& support, Resources& resources,
                    WorkerContext& context) {
  context.offloads.tap.store(options.tapOffload && support.tapTcp);
  context.offloads.tapUdp.store(options.tapOffload && support.tapTcp && support.tapUdp);
  context.offloads.udpSegmentation.store(options.udpSegmentation && support.udpSegmentation);
  context.offloads.udpCoalescing.store(context.sockets.coalescing);
  for (const std::string& note : support.notes) {
    resources.notes.push_back(note);
  }
  if (!context.sockets.raw4.valid()) {
    resources.notes.emplace_back(
        "No raw socket (CAP_NET_RAW): forwarded multicasts are not multicast again, and there is "
        "no EtherIP");
  }
}

Failure openPrivileged(const Options& options, Resources& resources, WorkerContext& context) {
  if (Failure failure = openSignals(resources.signals); failure.failed()) {
    return failure;
  }
  setResourceLimits();
  if (Failure failure = findUser(options.user, resources.user); failure.failed()) {
    return failure;
  }
  if (!options.pidFile.empty()) {
    if (Failure failure = lockPidFile(options.pidFile, resources.pidFile); failure.failed()) {
      return failure;
    }
    resources.isAlone = true;
  }
  if (Failure failure = checkTunDevice(); failure.failed()) {
    return failure;
  }
  const OffloadSupport support = testOffloads();
  const UnderlaySocketOptions underlay{
      .udpPort = options.udpPort,
      .bindAddress = options.bindAddress,
      .coalescing = options.udpCoalescing && support.udpCoalescing};
  if (Failure failure = openUnderlaySockets(underlay, context.sockets); failure.failed()) {
    return failure;
  }
  if (!options.inheritsSocket()) {
    if (Failure failure = listenOn(options.socketPath, resources.listener); failure.failed()) {
      return failure;
    }
  }
  chooseOffloads(options, support, resources, context);
  resources.nowhere.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  return resources.nowhere.valid() ? noFailure() : failureOf("Cannot open /dev/null");
}

std::vector<std::string> runFilesOf(const Options& options) {
  std::vector<std::string> paths;
  if (!options.inheritsSocket()) {
    paths.push_back(options.socketPath);
  }
  if (!options.pidFile.empty()) {
    paths.push_back(options.pidFile);
  }
  return paths;
}

// A start that failed leaves nothing: only the files that are ours by then.
void removeRunFiles(const Options& options, const Resources& resources) {
  if (resources.pidFile.valid() && resources.isAlone) {
    ::unlink(options.pidFile.c_str());
  }
  if (resources.listener.valid() && !options.inheritsSocket()) {
    ::unlink(options.socketPath.c_str());
  }
}

// Only root can keep the right to open the device; others have it through its mode.
Failure startOpener(const Options& options, Resources& resources, const WorkerContext& context) {
  if (::geteuid() != 0) {
    return noFailure();
  }
  const UnderlaySockets& sockets = context.sockets;
  const std::vector<int> notForTheChild{resources.nowhere.get(),
                                        sockets.udp4.get(),
                                        sockets.udp6.get(),
                                        sockets.raw4.get(),
                                        sockets.raw6.get(),
                                        sockets.etherip4.get(),
                                        sockets.etherip6.get(),
                                        resources.signals.get(),
                                        resources.listener.get(),
                                        resources.serviceManager.descriptor(),
                                        STDIN_FILENO,
                                        STDOUT_FILENO,
                                        STDERR_FILENO};
  return resources.opener.start(runFilesOf(options), notForTheChild);
}

Failure serve(const Options& options, Resources& resources, WorkerContext& context) {
  Engine engine(context, resources.opener, options.udpPort);
  if (Failure failure = engine.open(); failure.failed()) {
    return failure;
  }
  const ServiceManager& manager = resources.serviceManager;
  Server server(engine, manager, std::move(resources.listener), std::move(resources.signals),
                {.udpPort = options.udpPort,
                 .openerChannel = resources.opener.channel(),
                 .options = describeOptions(options),
                 .startNotes = std::move(resources.notes)});
  if (Failure failure = server.open(); failure.failed()) {
    return failure;
  }
  if (Failure failure = restrictDataPlane(!resources.opener.running()); failure.failed()) {
    return failure;
  }
  engine.start();
  const std::string_view ready = "ready\n";
  if (::write(STDOUT_FILENO, ready.data(), ready.size()) != static_cast<ssize_t>(ready.size())) {
    return failureOf("Cannot say that vnet-dp is ready");
  }
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    ::dup2(resources.nowhere.get(), stream);
  }
  manager.tellReady();
  server.run();
  manager.tellStopping();
  engine.stop();
  return noFailure();
}

Failure run(const Options& options) {
  // Before anything has used libcrypto: from here on its keys are kept out of core dumps.
  if (Failure failure = prepareLibcrypto(); failure.failed()) {
    return failure;
  }
  Resources resources;
  unsigned firstStrange = STDERR_FILENO + 1;
  if (options.inheritsSocket()) {
    if (Failure failure = takeListener(resources.listener); failure.failed()) {
      return failure;
    }
    ++firstStrange;
  }
  // What was open in whoever started us would be kept open for as long as frames are carried.
  ::close_range(firstStrange, ~0U, 0);
  if (Failure failure = resources.serviceManager.open(); failure.failed()) {
    return failure;
  }
  WorkerContext context;
  if (Failure failure = openPrivileged(options, resources, context); failure.failed()) {
    removeRunFiles(options, resources);
    return failure;
  }
  if (Failure failure = startOpener(options, resources, context); failure.failed()) {
    return failure;
  }
  if (Failure failure = dropPrivileges(resources.user); failure.failed()) {
    return failure;
  }
  Failure failure = serve(options, resources, context);
  // The opener removes them where we may not; without it our own user may.
  for (const std::string& path : runFilesOf(options)) {
    ::unlink(path.c_str());
  }
  resources.opener.stop();
  return failure;
}

}  // namespace
}  // namespace vnetd

#if defined(__SANITIZE_ADDRESS__)
// The search for leaks needs ptrace of a process that may not be traced.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the sanitizer's name.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  const std::vector<const char*> words(arguments.begin() + (argc > 0 ? 1 : 0), arguments.end());
  const vnetd::ParsedOptions parsed = vnetd::parseOptions(words);
  switch (parsed.kind) {
    case vnetd::ParsedOptions::Kind::kHelp:
      static_cast<void>(std::fputs(vnetd::usageText(), stdout));
      return 0;
    case vnetd::ParsedOptions::Kind::kVersion:
      static_cast<void>(std::puts(vnetd::versionText()));
      return 0;
    case vnetd::ParsedOptions::Kind::kWrong:
      static_cast<void>(std::fprintf(stderr, "vnet-dp: %s\n", parsed.message.c_str()));
      return vnetd::kExitUsage;
    case vnetd::ParsedOptions::Kind::kRun:
      break;
  }
  const vnetd::Failure failure = vnetd::run(parsed.options);
  if (failure.failed()) {
    static_cast<void>(std::fprintf(stderr, "vnet-dp: %s\n", failure.message.c_str()));
    return vnetd::kExitFailed;
  }
  return 0;
}
