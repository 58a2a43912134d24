// Tested by: tests/live/faults.py
#include "app/privileges.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace haka::app {
namespace {

constexpr std::array kKept = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_DAC_OVERRIDE, CAP_IPC_LOCK};

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kForeignCalls = 0x4000'0000;  // x32: the same calls by other numbers.
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kForeignCalls = UINT32_MAX;
#else
#error "which architecture's system calls are these?"
#endif

constexpr std::array kRefused = {SYS_execve,
                                 SYS_execveat,
#ifndef __SANITIZE_ADDRESS__  // LeakSanitizer looks at its own process with it.
                                 SYS_ptrace,
#endif
                                 SYS_process_vm_readv,
                                 SYS_process_vm_writev,
                                 SYS_mount,
                                 SYS_umount2,
                                 SYS_pivot_root,
                                 SYS_chroot,
                                 SYS_setns,
                                 SYS_unshare,
                                 SYS_init_module,
                                 SYS_finit_module,
                                 SYS_delete_module,
                                 SYS_kexec_load,
                                 SYS_kexec_file_load,
                                 SYS_reboot,
                                 SYS_swapon,
                                 SYS_swapoff,
                                 SYS_bpf,
                                 SYS_keyctl,
                                 SYS_add_key,
                                 SYS_request_key,
                                 SYS_perf_event_open,
                                 SYS_userfaultfd,
                                 SYS_io_uring_setup,
                                 SYS_open_by_handle_at,
                                 SYS_pidfd_getfd,
                                 SYS_setuid,
                                 SYS_setgid,
                                 SYS_setresuid,
                                 SYS_setresgid,
                                 SYS_settimeofday,
                                 SYS_clock_settime,
                                 SYS_acct};

void drop_capabilities(Keep keep) {
    std::uint64_t kept = keep == Keep::PacketsAndBpf ? std::uint64_t{1} << CAP_BPF : 0;
    for (const int capability : kKept) {
        kept |= std::uint64_t{1} << capability;
    }
    for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
        if ((kept >> capability & 1U) == 0) {
            prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()) != 0) {
        return;
    }
    for (std::size_t i = 0; i < data.size(); ++i) {
        const auto mask = static_cast<std::uint32_t>(kept >> (32 * i));
        data[i].effective &= mask;
        data[i].permitted &= mask;
        data[i].inheritable = 0;
    }
    syscall(SYS_capset, &header, data.data());
}

// Refused calls fail with EPERM. LuaJIT's mmap() and mprotect() are none of them.
void refuse_calls(Keep keep) {
    constexpr auto kErrno = static_cast<std::uint32_t>(SECCOMP_RET_ERRNO | 1);
    constexpr std::size_t kFirst = 4;
    constexpr std::size_t kAllow = kFirst + kRefused.size();
    constexpr std::size_t kRefuse = kAllow + 1;
    std::array<sock_filter, kRefuse + 1> program{};
    const auto refuse_from = [](std::size_t at) {
        return static_cast<std::uint8_t>(kRefuse - at - 1);
    };
    // Calls of another architecture have other numbers: all are refused.
    program[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    program[1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, refuse_from(1));
    program[2] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    program[3] = BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kForeignCalls, refuse_from(3), 0);
    for (std::size_t i = 0; i < kRefused.size(); ++i) {
        const bool is_kept = keep == Keep::PacketsAndBpf && kRefused[i] == SYS_bpf;
        program[kFirst + i] =
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(kRefused[i]),
                     is_kept ? std::uint8_t{0} : refuse_from(kFirst + i), 0);
    }
    program[kAllow] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[kRefuse] = BPF_STMT(BPF_RET | BPF_K, kErrno);
    const sock_fprog filter{.len = static_cast<std::uint16_t>(program.size()),
                            .filter = program.data()};
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

}  // namespace

void drop_privileges(Keep keep) {
    drop_capabilities(keep);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        refuse_calls(keep);
    }
}

}  // namespace haka::app
