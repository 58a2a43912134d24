// Tested by: tests/live/faults.py
#include "app/supervisor.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/privileges.h"
#include "app/text_output.h"
#include "engine/fault_capture.h"
#include "engine/forwarder.h"

namespace haka::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFailed = 1;
constexpr int kNotBegun = 2;
constexpr std::chrono::milliseconds kFirstPause{20};  // Before a restart; doubled while they fail,
constexpr std::chrono::milliseconds kLongestPause{5000};  // up to this,
constexpr std::chrono::seconds kHealthy{10};              // and begun anew after this.
constexpr std::chrono::seconds kStopPatience{10};         // Then the process is killed.
constexpr std::chrono::milliseconds kForwardTurn{2};      // When nothing has come.
constexpr std::chrono::milliseconds kIdleTurn{200};
constexpr int kCapturesMax = 16;  // Of last packets, in a run.

void say(const std::string& line) {
    TextOutput(STDERR_FILENO, TextOutput::Gather::No).write(fmt::format("haka: {}\n", line));
}

Instant wall_now() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

// The worker process tells the service manager that it is alive, in the supervisor's place.
void take_over_watchdog(pid_t supervisor) {
    const char* const whose = std::getenv("WATCHDOG_PID");
    if (whose != nullptr && whose == std::to_string(supervisor)) {
        (void)setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
    }
}

class Supervisor {
public:
    Supervisor(const Settings& settings, const engine::LiveInput& input, const Work& work)
        : settings_(settings),
          input_(input),
          work_(work),
          box_(settings.workers, settings.supervisor.last_packets, settings.seed) {}

    int run();

private:
    void block_signals();
    bool start();
    void turn();
    void take_signal(const siginfo_t& info);
    void pass_on(int signal_number) const;
    [[nodiscard]] std::optional<int> take_end();
    [[nodiscard]] std::optional<int> judge_end(int status);
    void note_fault(const std::string& how);
    void start_later();
    void blame(const std::string& rule);
    [[nodiscard]] std::string keep_packets();
    [[nodiscard]] bool forward();

    const Settings& settings_;
    const engine::LiveInput& input_;
    const Work& work_;
    engine::BlackBox box_;
    sigset_t signals_{};
    sigset_t old_signals_{};
    pid_t child_ = -1;  // -1: none runs.
    std::uint32_t restarts_ = 0;
    int captures_ = 0;
    bool was_open_ = false;  // A worker process has taken packets, ever.
    Clock::time_point started_;
    Clock::time_point start_at_;
    Clock::duration pause_ = kFirstPause;
    std::optional<Clock::time_point> stopping_since_;
    std::map<std::string, std::deque<Clock::time_point>> faults_;  // By rule.
    std::unique_ptr<engine::Forwarder> way_;  // Fail-open, while no worker process is there.
};

void Supervisor::block_signals() {
    sigemptyset(&signals_);
    for (const int each : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) {
        sigaddset(&signals_, each);
    }
    sigprocmask(SIG_BLOCK, &signals_, &old_signals_);
}

bool Supervisor::start() {
    box_.begin();
    started_ = Clock::now();
    const pid_t parent = getpid();
    child_ = fork();
    if (child_ < 0) {
        say(fmt::format("no process can be started: {}", std::strerror(errno)));
        return false;
    }
    if (child_ == 0) {
        way_.reset();
        // Ctrl-C is for the supervisor, which passes it on once.
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            _exit(kFailed);
        }
        sigprocmask(SIG_SETMASK, &old_signals_, nullptr);
        take_over_watchdog(parent);
        const int status = work_(box_, restarts_);
        std::exit(status);
    }
    return true;
}

void Supervisor::pass_on(int signal_number) const {
    if (child_ > 0) {
        kill(child_, signal_number);
    }
}

void Supervisor::take_signal(const siginfo_t& info) {
    switch (info.si_signo) {
        case SIGTERM:
        case SIGINT:
            if (!stopping_since_) {
                stopping_since_ = Clock::now();
            }
            pass_on(info.si_signo);
            break;
        case SIGHUP:
        case SIGUSR1:
            pass_on(info.si_signo);  // One that starts just now loads and opens anew anyway.
            break;
        default:
            break;
    }
}

// While no worker process takes packets. False: none had come.
bool Supervisor::forward() {
    if (way_ == nullptr) {
        way_ = engine::Forwarder::open(input_, settings_.live, box_);
    }
    return way_ != nullptr && way_->turn(wall_now());  // Null: the worker process will say why.
}

void Supervisor::turn() {
    const bool is_down = was_open_ && !box_.is_open() && !stopping_since_;
    const bool forwards = is_down && settings_.supervisor.fail_open && !input_.peer.empty();
    const bool forwarded = forwards && forward();
    if (!forwards) {
        way_.reset();
    }
    was_open_ = was_open_ || box_.is_open();
    const std::chrono::nanoseconds patience = forwarded ? std::chrono::milliseconds{0}
                                              : forwards || child_ < 0 || !box_.is_open()
                                                  ? kForwardTurn
                                                  : kIdleTurn;
    const timespec wait{.tv_sec = 0, .tv_nsec = patience.count()};
    siginfo_t info{};
    if (sigtimedwait(&signals_, &info, &wait) > 0) {
        take_signal(info);
    }
    if (stopping_since_ && Clock::now() - *stopping_since_ > kStopPatience) {
        pass_on(SIGKILL);
    }
}

std::optional<int> Supervisor::take_end() {
    int status = 0;
    if (child_ < 0 || waitpid(child_, &status, WNOHANG) != child_) {
        return std::nullopt;
    }
    child_ = -1;
    was_open_ = was_open_ || box_.is_open();
    return judge_end(status);
}

// The exit status, or nothing: it shall be started again.
std::optional<int> Supervisor::judge_end(int status) {
    const engine::BlackBox::Seen fault = box_.fault();
    if (WIFEXITED(status) && !fault.has_fault) {
        if (WEXITSTATUS(status) != kNotBegun || !was_open_ || stopping_since_) {
            return WEXITSTATUS(status);
        }
        // It has said why: a policy that was mended badly, an interface that is gone.
        start_later();
        say(fmt::format("tried again in {:g} s", std::chrono::duration<double>(pause_).count()));
        return std::nullopt;
    }
    const std::string how = fault.has_fault
                                ? fault.what
                                : fmt::format("killed by signal {} ({})", WTERMSIG(status),
                                              strsignal(WTERMSIG(status)));
    if (stopping_since_) {
        say(fmt::format("the worker process did not end as asked: {}", how));
        return kFailed;
    }
    note_fault(how);
    return std::nullopt;
}

void Supervisor::start_later() {
    const auto now = Clock::now();
    pause_ = now - started_ > kHealthy ? kFirstPause
                                       : std::min<Clock::duration>(pause_ * 2, kLongestPause);
    start_at_ = now + pause_;
}

void Supervisor::note_fault(const std::string& how) {
    restarts_ += 1;
    start_later();
    say(fmt::format("the worker process failed and is started again (restart {}): {}", restarts_,
                    how));
    if (const std::string kept = keep_packets(); !kept.empty()) {
        say(kept);
    }
    if (const std::string rule = box_.fault().rule; !rule.empty()) {
        blame(rule);
    }
}

// A rule that ends the process too often is left out from then on.
void Supervisor::blame(const std::string& rule) {
    const auto now = Clock::now();
    const auto window = std::chrono::nanoseconds(settings_.supervisor.rule_faults_time.ns);
    auto& times = faults_[rule];
    times.push_back(now);
    while (now - times.front() > window) {
        times.pop_front();
    }
    if (times.size() >= settings_.supervisor.rule_faults_max) {
        times.clear();
        box_.disable(rule);
        say(
            fmt::format("rule \"{}\" is off from now on: it has ended the process {} times within "
                        "{:g} s. Mend it, then start haka anew",
                        rule, settings_.supervisor.rule_faults_max,
                        static_cast<double>(settings_.supervisor.rule_faults_time.ns) * 1e-9));
    }
}

std::string Supervisor::keep_packets() {
    const std::string& folder = settings_.supervisor.captures;
    if (folder.empty() || captures_ >= kCapturesMax) {
        return {};
    }
    const std::string path = fmt::format("{}/haka-fault-{}-{}.pcapng", folder, getpid(), restarts_);
    const mode_t mask = umask(0077);  // They may be anybody's secrets.
    const engine::FaultCapture kept = engine::write_last_packets(box_, path);
    umask(mask);
    captures_ += 1;
    if (!kept.error.empty()) {
        return fmt::format("the last packets could not be kept: {}", kept.error);
    }
    return kept.packets == 0 ? std::string()
                             : fmt::format("the last {} packets of that connection are in {}",
                                           kept.packets, path);
}

int Supervisor::run() {
    block_signals();
    drop_privileges(settings_.live.af_xdp ? Keep::PacketsAndBpf : Keep::Packets);
    while (true) {
        if (child_ < 0) {
            if (stopping_since_) {
                return kFailed;
            }
            if (Clock::now() >= start_at_ && !start()) {
                return kFailed;
            }
        }
        turn();
        if (const std::optional<int> status = take_end()) {
            return *status;
        }
    }
}

}  // namespace

int supervise(const Settings& settings, const engine::LiveInput& input, const Work& work) {
    return Supervisor(settings, input, work).run();
}

}  // namespace haka::app
