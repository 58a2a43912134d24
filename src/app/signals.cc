#include "app/signals.h"

#include <csignal>

#include <unistd.h>

namespace haka::app {
namespace {

// Only what POSIX allows in a handler: a lock-free atomic and _exit().
void handle_stop(int signal_number) {
    static_assert(std::atomic<int>::is_always_lock_free);
    if (stop_flag().requested.exchange(1) != 0 && signal_number == SIGINT) {
        _exit(1);
    }
}

void handle_reopen(int /*signal_number*/) {
    stop_flag().reopen.fetch_add(1);
}

void handle_reload(int /*signal_number*/) {
    stop_flag().reload.fetch_add(1);
}

}  // namespace

engine::StopFlag& stop_flag() {
    static constinit engine::StopFlag flag;
    return flag;
}

void catch_hangup() {
    struct sigaction action {};
    action.sa_handler = handle_reload;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGHUP, &action, nullptr);
}

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = handle_stop;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);  // No SA_RESTART: a read of a silent pipe must wake up.
    sigaction(SIGTERM, &action, nullptr);
    action.sa_flags = SA_RESTART;
    action.sa_handler = handle_reopen;
    sigaction(SIGUSR1, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace haka::app
