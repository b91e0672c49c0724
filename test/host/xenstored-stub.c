/*
 * Lets the real xenstored run where there is no Xen: put before Xen's libraries (LD_PRELOAD), it
 * answers what xenstored asks of the hypervisor at its start. Any domain is there and well, no
 * event ever comes from one, and no guest's memory can be mapped: clients use the socket. dom0's own
 * page and event channel, which Linux shows below /proc/xen, are an empty page and any number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What handles point to. Nobody looks into it. */
static char handle;
static int event_fd = -1;

void *xc_interface_open(void *logger, void *dombuild_logger, unsigned open_flags) {
  (void)logger;
  (void)dombuild_logger;
  (void)open_flags;
  return &handle;
}

int xc_interface_close(void *xch) {
  (void)xch;
  return 0;
}

/* The beginning of xc_dominfo_t: the domain, its ssidref, its flags (none: it runs), why it ended. */
struct domain_info {
  uint32_t domain_id;
  uint32_t ssidref;
  uint32_t flags;
  uint32_t shutdown_reason;
};

int xc_domain_getinfo(void *xch, uint32_t first, unsigned max, struct domain_info *info) {
  (void)xch;
  if (max == 0) {
    return 0;
  }
  memset(info, 0, sizeof *info);
  info->domain_id = first;
  return 1;
}

void *xenevtchn_open(void *logger, unsigned open_flags) {
  (void)logger;
  (void)open_flags;
  event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return event_fd < 0 ? NULL : &handle;
}

void *xenevtchn_fdopen(void *logger, int fd, unsigned open_flags) {
  (void)logger;
  (void)open_flags;
  event_fd = fd;
  return &handle;
}

int xenevtchn_fd(void *xce) {
  (void)xce;
  return event_fd;
}

int xenevtchn_bind_virq(void *xce, unsigned virq) {
  (void)xce;
  (void)virq;
  return 1;
}

int xenevtchn_bind_interdomain(void *xce, uint32_t domain_id, uint32_t remote_port) {
  (void)xce;
  (void)domain_id;
  (void)remote_port;
  return 2;
}

int xenevtchn_notify(void *xce, uint32_t port) {
  (void)xce;
  (void)port;
  return 0;
}

int xenevtchn_pending(void *xce) {
  (void)xce;
  errno = EAGAIN;
  return -1;
}

int xenevtchn_unbind(void *xce, uint32_t port) {
  (void)xce;
  (void)port;
  return 0;
}

int xenevtchn_unmask(void *xce, uint32_t port) {
  (void)xce;
  (void)port;
  return 0;
}

void *xengnttab_open(void *logger, unsigned open_flags) {
  (void)logger;
  (void)open_flags;
  return &handle;
}

int xengnttab_close(void *xgt) {
  (void)xgt;
  return 0;
}

int xengnttab_set_max_grants(void *xgt, uint32_t count) {
  (void)xgt;
  (void)count;
  return 0;
}

void *xengnttab_map_grant_ref(void *xgt, uint32_t domain_id, uint32_t reference, int protection) {
  (void)xgt;
  (void)domain_id;
  (void)reference;
  (void)protection;
  errno = ENOSYS;
  return NULL;
}

int xengnttab_unmap(void *xgt, void *address, uint32_t count) {
  (void)xgt;
  (void)address;
  (void)count;
  return 0;
}

static int open_memory(const char *name, const char *text, off_t size) {
  int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, size) != 0 ||
      pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text)) {
    return -1;
  }
  return fd;
}

static int open_path(const char *path, int flags, mode_t mode) {
  if (strcmp(path, "/proc/xen/xsd_port") == 0) {
    return open_memory("xsd_port", "3\n", 2);
  }
  if (strcmp(path, "/proc/xen/xsd_kva") == 0) {
    return open_memory("xsd_kva", "", sysconf(_SC_PAGESIZE));
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_path(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_path(path, flags | O_LARGEFILE, mode);
}
