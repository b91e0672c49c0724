#include "host/seccomp.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "test/check.h"

namespace vnetd {
namespace {

using Restrict = Failure (*)();

Failure asDataPlane() { return restrictDataPlane(false); }
Failure asOpener() { return restrictOpener(); }

// What becomes of a child that is restricted and then calls: "exit N" or "signal N".
std::string fateOf(Restrict restrict, void (*call)()) {
  const pid_t child = fork();
  if (child == 0) {
    // Only root may filter without it.
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || restrict().failed()) {
      _exit(99);
    }
    call();
    _exit(0);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "exit " + std::to_string(WEXITSTATUS(status));
}

const std::string kKilled = "signal " + std::to_string(SIGSYS);
const std::string kWentOn = "exit 0";

void readNothing() { static_cast<void>(syscall(SYS_read, -1, nullptr, 0)); }
void makeSocket() { static_cast<void>(socket(AF_INET, SOCK_DGRAM, 0)); }
void runProgram() { static_cast<void>(execl("/bin/true", "true", nullptr)); }
void makeProcess() { static_cast<void>(syscall(SYS_fork)); }
void becomeRoot() { static_cast<void>(syscall(SYS_setuid, 0)); }
void signalInit() { static_cast<void>(kill(1, 0)); }
void writeMemoryOf() { static_cast<void>(syscall(SYS_process_vm_writev, 1, 0, 0, 0, 0, 0)); }
void connectElsewhere() { static_cast<void>(connect(-1, nullptr, 0)); }
void changeSocket() {
  const int one = 1;
  static_cast<void>(setsockopt(-1, SOL_SOCKET, SO_MARK, &one, sizeof one));
}
void controlDevice() {
  int count = 0;
  static_cast<void>(ioctl(-1, FIONREAD, &count));
}
void makeMemoryExecutable() {
  static_cast<void>(
      mmap(nullptr, 4'096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
#if !defined(__SANITIZE_ADDRESS__)
// The sanitizers open files themselves, so that their builds may.
void openFile() { static_cast<void>(open("/etc/passwd", O_RDONLY)); }
#endif

TEST("what carries frames is allowed") {
  CHECK_EQ(fateOf(asDataPlane, readNothing), kWentOn);
  CHECK_EQ(fateOf(asOpener, [] { static_cast<void>(close(-1)); }), kWentOn);
}

TEST("a forbidden system call kills the data plane") {
  for (void (*call)() : {makeSocket, runProgram, makeProcess, becomeRoot, signalInit, writeMemoryOf,
                         connectElsewhere, changeSocket, controlDevice, makeMemoryExecutable}) {
    CHECK_EQ(fateOf(asDataPlane, call), kKilled);
  }
}

TEST("a forbidden system call kills the opener") {
  for (void (*call)() : {makeSocket, runProgram, makeProcess, becomeRoot, signalInit, writeMemoryOf,
                         connectElsewhere, controlDevice, makeMemoryExecutable}) {
    CHECK_EQ(fateOf(asOpener, call), kKilled);
  }
}

#if !defined(__SANITIZE_ADDRESS__)
TEST("neither opens a file, and the opener opens nothing read-only") {
  CHECK_EQ(fateOf(asDataPlane, openFile), kKilled);
  CHECK_EQ(fateOf(asOpener, openFile), kKilled);
}
#endif

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
