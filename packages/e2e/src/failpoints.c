/*
 * Kills the process that it is preloaded into (LD_PRELOAD) at the n-th of its failpoints, which are both sides of what it
 * tells the world by: durable writes, netlink messages, sysctls, mounts, programs that it starts, and what goes over unix
 * sockets (answers to the engine and to clients, calls to the engine).
 *
 * WEAVE_FAILPOINTS names a file. While it is there it holds n, and points count; each appends its name to <file>.log.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static const char *control;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static long passed;

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__)
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, writev, int, const struct iovec *, int);
REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(ssize_t, send, int, const void *, size_t, int);
REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
REAL(int, unlink, const char *);
REAL(int, remove, const char *);
REAL(int, mount, const char *, const char *, const char *, unsigned long, const void *);
REAL(int, umount2, const char *, int);
REAL(pid_t, fork, void);

__attribute__((constructor)) static void load(void) {
#define LOAD(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
  LOAD(write); LOAD(writev); LOAD(pwrite64); LOAD(fsync); LOAD(fdatasync); LOAD(send); LOAD(sendto);
  LOAD(sendmsg); LOAD(unlink); LOAD(remove); LOAD(mount); LOAD(umount2); LOAD(fork);
  /* Not the programs that it starts. */
  if (strcmp(program_invocation_short_name, "node") == 0) control = getenv("WEAVE_FAILPOINTS");
}

/* No libc function that is wrapped here. */
static void point(const char *side, const char *what, const char *detail) {
  char text[32] = {0}, log[256], line[256];
  int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  pthread_mutex_lock(&turn);
  long number = ++passed;
  snprintf(log, sizeof log, "%s.log", control);
  fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  int length = snprintf(line, sizeof line, "%s %s %.180s\n", side, what, detail);
  syscall(SYS_write, fd, line, length);
  syscall(SYS_close, fd);
  if (number == atol(text)) syscall(SYS_kill, getpid(), SIGKILL);
  pthread_mutex_unlock(&turn);
}

static const char *of_file(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return path;
}

/* Whether a netlink message changes anything: RTM_GET… end in binary 10. */
static int changes(const void *data, size_t size) {
  for (size_t at = 0; size - at >= sizeof(struct nlmsghdr);) {
    const struct nlmsghdr *message = (const void *)((const char *)data + at);
    if (message->nlmsg_type % 4 != 2) return 1;
    if (message->nlmsg_len < sizeof *message || message->nlmsg_len > size - at) return 1;
    at += NLMSG_ALIGN(message->nlmsg_len);
    if (at > size) break;
  }
  return 0;
}

/* What a write to this is, or NULL where nobody is told anything by it. */
static const char *kind_of(int fd, const void *data, size_t length, char *detail, size_t size) {
  struct stat info;
  if (!control || fstat(fd, &info)) return NULL;
  if (S_ISREG(info.st_mode)) {
    if (!of_file(fd, detail, size)) return NULL;
    if (strstr(detail, "/proc/sys/") == detail) return "sysctl";
    return strstr(detail, "/var/lib/weave") == detail ? "store" : NULL;
  }
  if (!S_ISSOCK(info.st_mode)) return NULL;
  struct sockaddr_un near = {0}, far = {0};
  socklen_t near_size = sizeof near, far_size = sizeof far;
  getsockname(fd, (struct sockaddr *)&near, &near_size);
  if (near.sun_family == AF_NETLINK) return changes(data, length) ? strcpy(detail, ""), "netlink" : NULL;
  if (near.sun_family != AF_UNIX) return NULL;
  getpeername(fd, (struct sockaddr *)&far, &far_size);
  int is_answer = near_size > sizeof near.sun_family && near.sun_path[0];
  int is_call = far_size > sizeof far.sun_family && far.sun_path[0];
  snprintf(detail, size, "%s", is_answer ? near.sun_path : is_call ? far.sun_path : "");
  return is_answer ? "answer" : is_call ? "call" : NULL;
}

#define BOTH_SIDES(what, detail, result, call) \
  do {                                         \
    point("before", what, detail);             \
    result got = call;                         \
    point("after", what, detail);              \
    return got;                                \
  } while (0)

#define ON_FILE(result, fd, data, length, call)                  \
  do {                                                           \
    char detail[256];                                            \
    const char *kind = kind_of(fd, data, length, detail, sizeof detail); \
    if (!kind) return call;                                      \
    BOTH_SIDES(kind, detail, result, call);                      \
  } while (0)

ssize_t write(int fd, const void *data, size_t size) { ON_FILE(ssize_t, fd, data, size, real_write(fd, data, size)); }
ssize_t writev(int fd, const struct iovec *parts, int count) { ON_FILE(ssize_t, fd, NULL, 0, real_writev(fd, parts, count)); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  ON_FILE(ssize_t, fd, data, size, real_pwrite64(fd, data, size, at));
}
int fsync(int fd) { ON_FILE(int, fd, NULL, 0, real_fsync(fd)); }
int fdatasync(int fd) { ON_FILE(int, fd, NULL, 0, real_fdatasync(fd)); }
ssize_t send(int fd, const void *data, size_t size, int flags) { ON_FILE(ssize_t, fd, data, size, real_send(fd, data, size, flags)); }
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
  ON_FILE(ssize_t, fd, data, size, real_sendto(fd, data, size, flags, to, length));
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  ON_FILE(ssize_t, fd, message->msg_iov->iov_base, message->msg_iov->iov_len, real_sendmsg(fd, message, flags));
}

int unlink(const char *path) {
  if (!control) return real_unlink(path);
  BOTH_SIDES("unlink", path, int, real_unlink(path));
}
int remove(const char *path) {
  if (!control) return real_remove(path);
  BOTH_SIDES("unlink", path, int, real_remove(path));
}
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data) {
  if (!control) return real_mount(source, target, type, flags, data);
  BOTH_SIDES("mount", target, int, real_mount(source, target, type, flags, data));
}
int umount2(const char *target, int flags) {
  if (!control) return real_umount2(target, flags);
  BOTH_SIDES("umount", target, int, real_umount2(target, flags));
}
pid_t fork(void) {
  if (!control) return real_fork();
  point("before", "program", "");
  pid_t child = real_fork();
  if (child) point("after", "program", "");
  return child;
}
