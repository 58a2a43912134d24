// A live run, as the control socket and the metrics page see it: questions become tasks that its
// workers run between two batches, and whoever asked waits for the answers, for a bounded time.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/engine.h"
#include "engine/live_run.h"

namespace haka::control {

class LiveEngine final : public Engine {
public:
    struct About {
        std::string version;
        std::string revision;
        std::string source;  // As on the command line.
        std::function<void()> stop;
    };
    // Both must outlive this, and the run's workers be there: open() is behind it. No call may be
    // under way when the run is taken down.
    LiveEngine(engine::LiveRun& run, const engine::RunOptions& options, About about);

    [[nodiscard]] Status status() override;
    [[nodiscard]] Figures figures() override;
    [[nodiscard]] Listing connections(const engine::ConnectionFilter& filter,
                                      std::size_t rows_max) override;
    Outcome end_connection(std::uint64_t id, engine::EndKind kind) override;
    Outcome reload() override;
    Outcome set_log_level(std::string_view module, report::LogLevel level) override;
    Outcome stop() override;

private:
    using Ask = std::function<void(engine::Worker&, engine::Journal&)>;

    [[nodiscard]] bool ask(std::size_t worker, Ask what) const;
    [[nodiscard]] std::vector<bool> ask_all(
        const std::function<Ask(std::size_t worker)>& what_of) const;

    engine::LiveRun& run_;
    About about_;
    std::string policy_;
    bool pass_through_;
    Instant start_;
    std::mutex mutex_;  // Of what comes now: socket and page ask from threads of their own.
    std::map<std::string, std::string> log_levels_;
    std::vector<engine::WorkerFigures> last_;  // What each worker said when it last answered.
};

}  // namespace haka::control
