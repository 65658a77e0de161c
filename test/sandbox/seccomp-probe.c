// Makes system calls that a profile is to judge, and says what came of each: "allowed", an error's name, or a signal.
// Arguments are such that an allowed call changes nothing of weight.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[4096];

static void say(const char *name, long result) {
  printf("%s %s\n", name, result >= 0 ? "allowed" : strerrorname_np(errno));
}
#define AS(name, ...) say(name, syscall(__VA_ARGS__))
#define CALL(name, ...) AS(#name, SYS_##name, ##__VA_ARGS__)

static void in_a_child(const char *name, long (*call)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(call() >= 0 ? 0 : 1);
  int status;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) printf("%s SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
  else printf("%s %s\n", name, WEXITSTATUS(status) == 0 ? "allowed" : "failed");
}

#if defined(__x86_64__)
static long getpid_by_int80(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
  return result;
}
static long getpid_of_x32(void) { return syscall(0x40000000 + SYS_getpid); }
#endif

static void memory_and_processes(void) {
  CALL(ptrace, 0, 0, 0, 0);
  AS("ptrace-of-pid-1", SYS_ptrace, 16, 1, 0, 0);
  CALL(process_vm_readv, getpid(), 0, 0, 0, 0, 0);
  CALL(process_vm_writev, getpid(), 0, 0, 0, 0, 0);
  CALL(pidfd_getfd, -1, 0, 0);
  CALL(kcmp, getpid(), getpid(), 0, 0, 0);
  CALL(name_to_handle_at, -100, "/tmp", buffer, buffer, 0);
  CALL(open_by_handle_at, -1, buffer, 0);
}

static void mounts_and_namespaces(void) {
  CALL(mount, "none", "/tmp", "tmpfs", 0, 0);
  CALL(umount2, "/tmp", 0);
  CALL(fsopen, "tmpfs", 0);
  CALL(open_tree, -100, "/tmp", 1);
  CALL(move_mount, -100, "/tmp", -100, "/tmp", 0);
  CALL(mount_setattr, -100, "/tmp", 0, buffer, 32);
  CALL(pivot_root, "/", "/");
  CALL(chroot, "/");
  CALL(unshare, 0);
  AS("unshare-user", SYS_unshare, CLONE_NEWUSER);
  CALL(setns, 0, 0);
  AS("clone-user", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  AS("clone-net", SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
  CALL(sethostname, "x", 1);
}

static void kernel(void) {
  CALL(keyctl, 0, -3, 0);
  CALL(add_key, "user", "x", "y", 1, -3);
  CALL(request_key, "user", "x", 0, -3);
  CALL(bpf, 0, buffer, 64);
  CALL(userfaultfd, 1);
  CALL(perf_event_open, buffer, 0, -1, -1, 0);
  CALL(fanotify_init, 0, 0);
  CALL(kexec_load, 0, 0, 0, 0);
  CALL(init_module, 0, 0, "");
  CALL(finit_module, -1, "", 0);
  CALL(delete_module, "x", 0);
  CALL(syslog, 10, 0, 0);
  CALL(quotactl, 0, 0, 0, 0);
  CALL(reboot, 0, 0, 0, 0);
  CALL(swapon, "/tmp", 0);
  CALL(acct, 0);
  CALL(settimeofday, 0, 0);
  CALL(mbind, 0, 0, 0, 0, 0, 0);
  CALL(clone3, buffer, 0);
  CALL(io_uring_setup, 1, buffer);
  CALL(io_uring_enter, -1, 0, 0, 0, 0);
  CALL(io_uring_register, -1, 0, 0, 0);
  CALL(memfd_secret, 0);
  AS("a-call-newer-than-the-profile", 600);
#if defined(__x86_64__)
  CALL(modify_ldt, 0, buffer, 16);
  CALL(iopl, 0);
  CALL(ioperm, 0, 1, 0);
  in_a_child("int-0x80", getpid_by_int80);
  in_a_child("x32", getpid_of_x32);
#endif
}

static void sockets(void) {
  int pair[2];
  AS("unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0);
  AS("unix-pair", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair);
  AS("tcp", SYS_socket, AF_INET, SOCK_STREAM, 6);
  AS("udp-ipv6", SYS_socket, AF_INET6, SOCK_DGRAM, 17);
  AS("route", SYS_socket, AF_NETLINK, SOCK_RAW, 0);
  AS("sctp", SYS_socket, AF_INET, SOCK_STREAM, 132);
  AS("dccp", SYS_socket, AF_INET, 6, 33);
  AS("netfilter", SYS_socket, AF_NETLINK, SOCK_RAW, 12);
  AS("tipc-pair", SYS_socketpair, AF_TIPC, SOCK_STREAM, 0, pair);
  // Every other family: one line each that is not refused as not permitted.
  for (int family = 0; family < 64; family++) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK) continue;
    for (int type = 1; type <= 5; type++) {
      if (syscall(SYS_socket, family, type, 0) < 0 && errno == EPERM) continue;
      printf("family-%d type-%d %s\n", family, type, strerrorname_np(errno));
    }
  }
}

static void nodes_and_personality(void) {
  AS("fifo", SYS_mknodat, -100, "/tmp/probe-fifo", S_IFIFO | 0600, 0);
  AS("file", SYS_mknodat, -100, "/tmp/probe-file", S_IFREG | 0600, 0);
  AS("socket-file", SYS_mknodat, -100, "/tmp/probe-socket", S_IFSOCK | 0600, 0);
  AS("overlay-whiteout", SYS_mknodat, -100, "/tmp/probe-whiteout", S_IFCHR | 0600, 0);
  AS("char-device", SYS_mknodat, -100, "/tmp/probe-null", S_IFCHR | 0600, makedev(1, 3));
  AS("block-device", SYS_mknodat, -100, "/tmp/probe-disk", S_IFBLK | 0600, makedev(8, 0));
  AS("personality-query", SYS_personality, 0xffffffffUL);
  AS("personality-no-randomisation", SYS_personality, 0x0040000);
  AS("personality-read-implies-exec", SYS_personality, 0x0400000);
}

int main(void) {
  memory_and_processes();
  mounts_and_namespaces();
  kernel();
  sockets();
  nodes_and_personality();
  return 0;
}
