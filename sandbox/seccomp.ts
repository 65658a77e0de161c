import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

// Reasons in one place, so that a name that someone misses can be looked up.
const denied: Record<string, string> = {
  "other processes' memory, descriptors and handles":
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp name_to_handle_at open_by_handle_at",
  "mounts and roots":
    "mount umount2 open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr statmount listmount pivot_root chroot",
  namespaces: "unshare setns sethostname setdomainname",
  "the kernel's keys, which no namespace divides": "add_key request_key keyctl",
  "programs in the kernel, and what exploits lean on":
    "bpf userfaultfd perf_event_open modify_ldt lookup_dcookie fanotify_init fanotify_mark",
  "the kernel itself":
    "init_module finit_module delete_module create_module query_module get_kernel_syms kexec_load kexec_file_load syslog reboot acct lsm_get_self_attr lsm_set_self_attr lsm_list_modules",
  "the machine": "iopl ioperm swapon swapoff settimeofday clock_settime vhangup quotactl quotactl_fd",
  "the placement of memory on the machine":
    "mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages",
  "what no program of today uses":
    "_sysctl sysfs ustat uselib nfsservctl getpmsg putpmsg afs_syscall tuxcall security vserver epoll_ctl_old epoll_wait_old",
};

// Callers take "no such call" as word to do it the old way, and "not permitted" as an error: node and Python's threads
// end when clone3 gives EPERM. clone3 hides its flags from a filter; the old clone shows them.
const absent = ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret"];

interface Condition {
  index: number;
  op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
  value: number;
  valueTwo: number;
}

const equals = (index: number, value: number): Condition => ({ index, op: "SCMP_CMP_EQ", value, valueTwo: 0 });
const masked = (index: number, mask: number, value: number): Condition => ({
  index,
  op: "SCMP_CMP_MASKED_EQ",
  value: mask,
  valueTwo: value,
});

// Each entry is one rule, and one rule that fits is enough. runc joins two conditions on the same argument by "or",
// so "neither this nor that" can't be said: what may be is listed.
const conditional: Record<string, Condition[][]> = {
  // Unix; IPv4 and IPv6 with TCP and UDP; netlink to ask for addresses and routes. Others load modules of the host.
  socket: [[equals(0, 1)], ...internet(2), ...internet(10), [equals(0, 16), equals(2, 0)]],
  socketpair: [[equals(0, 1)]],
  // No CLONE_NEW* flag: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
  clone: [[masked(0, 0x7e02_0000, 0)]],
  // PER_LINUX and PER_LINUX32, each also with UNAME26; ADDR_NO_RANDOMIZE, for sanitizers; 0xffffffff asks.
  personality: [0, 8, 0x2_0000, 0x2_0008, 0x4_0000, 0xffff_ffff].map((value) => [equals(0, value)]),
  mknod: nodes(1),
  mknodat: nodes(2),
};

function internet(family: number): Condition[][] {
  return [0, 6, 17].map((protocol) => [equals(0, family), equals(2, protocol)]);
}

// Under S_IFMT: no type and file, pipe, socket; no device.
function nodes(index: number): Condition[][] {
  return [0, 0o100000, 0o010000, 0o140000].map((type) => [masked(index, 0o170000, type)]);
}

/**
 * The seccomp profile of every container, as the engine's API takes it: only what is listed is allowed, the rest gives
 * EPERM. Stricter than the engine's own profile, which still allows AF_VSOCK and other rare families, io_uring (older
 * engines), memfd_secret, modify_ldt, ptrace, and 32-bit calls, which pass by any rule on the arguments of `socket`.
 *
 * Sources: `syscalls.txt` holds the names of Linux' `asm/unistd_64.h` (6.1) and those added to `scripts/syscall.tbl`
 * since (up to 462, `mseal`); arm64's names are among them. The values are those of `linux/sched.h`,
 * `linux/personality.h`, `linux/stat.h`, `bits/socket.h` and `linux/in.h`. Shape, archMap and the mask of `clone`:
 * moby's `profiles/seccomp/default.json`. A name that a machine's libseccomp does not know is passed over, and calls
 * newer than all names give ENOSYS (runc's `patchbpf`).
 *
 * What it breaks: strace and gdb, LeakSanitizer (set `ASAN_OPTIONS=detect_leaks=0`), 32-bit programs, Chrome's own
 * sandbox, rootless containers.
 */
export const seccompProfile = JSON.stringify({
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  // The native architecture alone: a process that makes a 32-bit call is killed.
  archMap: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"].map((architecture) => ({ architecture, subArchitectures: [] })),
  syscalls: [
    { names: plainlyAllowed(), action: "SCMP_ACT_ALLOW" },
    ...Object.entries(conditional).flatMap(([name, rules]) =>
      rules.map((args) => ({ names: [name], action: "SCMP_ACT_ALLOW", args })),
    ),
    // Older engines ignore defaultErrnoRet, so the number stands with the rule.
    { names: absent, action: "SCMP_ACT_ERRNO", errnoRet: 38 },
  ],
});

/** Names the profile in a log: the first half of its SHA-256. */
export const seccompHash = createHash("sha256").update(seccompProfile).digest("hex").slice(0, 32);

function plainlyAllowed(): string[] {
  const known = readFileSync(new URL("syscalls.txt", import.meta.url), "utf8")
    .trim()
    .split(/\s+/);
  const held = new Set([...words(Object.values(denied)), ...absent, ...Object.keys(conditional)]);
  // A misspelt denial would be an allowance.
  const odd = [...held].find((name) => !known.includes(name));
  if (odd !== undefined) throw new Error(`sandbox/seccomp.ts names ${odd}, which sandbox/syscalls.txt does not know`);
  return known.filter((name) => !held.has(name));
}

function words(lists: string[]): string[] {
  return lists.flatMap((list) => list.split(" "));
}
