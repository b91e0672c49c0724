#include "host/seccomp.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <utility>

namespace vnetd {
namespace {

struct FilterRelease {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterRelease>;

Filter newFilter() { return Filter(seccomp_init(SCMP_ACT_KILL_PROCESS)); }

Failure filterFailure(const char* what, int negativeErrno) {
  return failureOf(what, -negativeErrno);
}

// libseccomp wants its comparisons by value; these say which argument must equal what.
scmp_arg_cmp argumentEquals(unsigned index, scmp_datum_t value) {
  return {.arg = index, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}

scmp_arg_cmp argumentHasNone(unsigned index, scmp_datum_t bits) {
  return {.arg = index, .op = SCMP_CMP_MASKED_EQ, .datum_a = bits, .datum_b = 0};
}

int allow(const Filter& filter, std::initializer_list<int> calls) {
  for (const int call : calls) {
    const int result = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, 0, nullptr);
    if (result != 0) {
      return result;
    }
  }
  return 0;
}

template <std::size_t Count>
int allowWhen(const Filter& filter, int call, const std::array<scmp_arg_cmp, Count>& arguments) {
  return seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, Count, arguments.data());
}

// Memory may be had and given back, but never made executable.
int allowMemory(const Filter& filter) {
  int result =
      allow(filter, {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise)});
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    if (result == 0) {
      result = allowWhen(filter, call, std::array{argumentHasNone(2, PROT_EXEC)});
    }
  }
  return result;
}

// What attaching to a TAP needs, and no other device control.
int allowTapControls(const Filter& filter) {
  for (const unsigned long request :
       {static_cast<unsigned long>(TUNSETIFF), static_cast<unsigned long>(TUNSETVNETHDRSZ),
        static_cast<unsigned long>(TUNSETOFFLOAD), static_cast<unsigned long>(TUNGETIFF)}) {
    const int result = allowWhen(filter, SCMP_SYS(ioctl), std::array{argumentEquals(1, request)});
    if (result != 0) {
      return result;
    }
  }
  return 0;
}

// Group membership, multicast interface and TTL: what SetUnderlay changes.
int allowSocketControls(const Filter& filter) {
  constexpr std::array<std::pair<int, int>, 9> kControls{{
      {IPPROTO_IP, IP_ADD_MEMBERSHIP},
      {IPPROTO_IP, IP_DROP_MEMBERSHIP},
      {IPPROTO_IP, IP_MULTICAST_IF},
      {IPPROTO_IP, IP_MULTICAST_TTL},
      {IPPROTO_IPV6, IPV6_JOIN_GROUP},
      {IPPROTO_IPV6, IPV6_LEAVE_GROUP},
      {IPPROTO_IPV6, IPV6_MULTICAST_IF},
      {IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
      {IPPROTO_UDP, UDP_GRO},
  }};
  for (const auto& [level, option] : kControls) {
    const int result = allowWhen(filter, SCMP_SYS(setsockopt),
                                 std::array{argumentEquals(1, static_cast<scmp_datum_t>(level)),
                                            argumentEquals(2, static_cast<scmp_datum_t>(option))});
    if (result != 0) {
      return result;
    }
  }
  return 0;
}

// What glibc itself does: wait, return from signals, abort, end a thread or the process.
int allowRuntime(const Filter& filter) {
  return allow(filter, {SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group),
                        SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
                        SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime), SCMP_SYS(getpid),
                        SCMP_SYS(gettid), SCMP_SYS(tgkill), SCMP_SYS(sched_yield),
                        SCMP_SYS(getrandom), SCMP_SYS(set_robust_list), SCMP_SYS(rseq)});
}

int allowTraffic(const Filter& filter) {
  return allow(
      filter, {SCMP_SYS(read),     SCMP_SYS(readv),      SCMP_SYS(write),       SCMP_SYS(writev),
               SCMP_SYS(sendmsg),  SCMP_SYS(sendto),     SCMP_SYS(recvmsg),     SCMP_SYS(recvfrom),
               SCMP_SYS(recvmmsg), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
               SCMP_SYS(poll),     SCMP_SYS(ppoll),      SCMP_SYS(accept4),     SCMP_SYS(close),
               SCMP_SYS(shutdown), SCMP_SYS(dup2),       SCMP_SYS(dup3),        SCMP_SYS(unlink),
               SCMP_SYS(unlinkat)});
}

// The sanitizers of a test build read their own maps and stacks, and look for leaks from a
// thread of their own when the process ends.
int allowSanitizers([[maybe_unused]] const Filter& filter) {
#if defined(__SANITIZE_ADDRESS__)
  return allow(filter, {SCMP_SYS(openat), SCMP_SYS(newfstatat), SCMP_SYS(readlink),
                        SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(sigaltstack),
                        SCMP_SYS(clone), SCMP_SYS(wait4), SCMP_SYS(ptrace), SCMP_SYS(prctl),
                        SCMP_SYS(sched_getaffinity), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64),
                        SCMP_SYS(dup), SCMP_SYS(pipe2), SCMP_SYS(lseek), SCMP_SYS(fstat)});
#else
  return 0;
#endif
}

Failure load(const Filter& filter) {
  if (const int result = seccomp_load(filter.get()); result != 0) {
    return filterFailure("Cannot install the system call filter", result);
  }
  return noFailure();
}

}  // namespace

Failure restrictDataPlane(bool mayOpenDevices) {
  const Filter filter = newFilter();
  if (filter == nullptr) {
    return failureOf("Cannot make a system call filter", ENOMEM);
  }
  if (const int result = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1); result != 0) {
    return filterFailure("Cannot filter the system calls of all threads", result);
  }
  int result = allowTraffic(filter);
  for (const auto step :
       {allowMemory, allowTapControls, allowSocketControls, allowRuntime, allowSanitizers}) {
    if (result == 0) {
      result = step(filter);
    }
  }
  if (result == 0 && mayOpenDevices) {
    result = allow(filter, {SCMP_SYS(openat)});
  }
  if (result != 0) {
    return filterFailure("Cannot fill the system call filter", result);
  }
  return load(filter);
}

Failure restrictOpener() {
  const Filter filter = newFilter();
  if (filter == nullptr) {
    return failureOf("Cannot make a system call filter", ENOMEM);
  }
  int result = allow(filter, {SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
                              SCMP_SYS(close), SCMP_SYS(unlink), SCMP_SYS(unlinkat)});
  if (result == 0) {
    result = allowWhen(
        filter, SCMP_SYS(openat),
        std::array{argumentEquals(2, static_cast<scmp_datum_t>(O_RDWR | O_NONBLOCK | O_CLOEXEC))});
  }
  for (const auto step : {allowMemory, allowRuntime, allowSanitizers}) {
    if (result == 0) {
      result = step(filter);
    }
  }
  if (result != 0) {
    return filterFailure("Cannot fill the system call filter", result);
  }
  return load(filter);
}

}  // namespace vnetd
