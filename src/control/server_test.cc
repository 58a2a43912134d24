#include "control/server.h"

#include <filesystem>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/test_folder.h"
#include "control/client.h"
#include "control/fake_engine.h"
#include "control/unix_address.h"

namespace haka::control {
namespace {

constexpr Duration kPatience = kSecond * 20;

class ServerTest : public testing::Test {
protected:
    void open() {
        settings_.socket = path_;
        auto opened = Server::open(settings_, engine_);
        ASSERT_NE(opened.server, nullptr) << opened.error;
        server_ = std::move(opened.server);
    }
    [[nodiscard]] std::string refused() const {
        FakeEngineHolder other;
        auto opened = Server::open(settings_, other.engine);
        EXPECT_EQ(opened.server, nullptr);
        return opened.error;
    }
    struct FakeEngineHolder {
        test::FakeEngine engine;
    };
    // A client that does as it is told, not as it should.
    class Raw {
    public:
        explicit Raw(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
            const auto address = UnixAddress::of(path);
            connected_ = connect(fd_, address->get(), address->size()) == 0;
        }
        ~Raw() { close(fd_); }
        Raw(const Raw&) = delete;
        Raw& operator=(const Raw&) = delete;
        void send(std::string_view text) const {
            EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(text.size()));
        }
        // Empty: it was closed.
        [[nodiscard]] std::string line() {
            while (in_.find('\n') == std::string::npos) {
                std::array<char, 4096> bytes{};
                const ssize_t count = recv(fd_, bytes.data(), bytes.size(), 0);
                if (count <= 0) {
                    return {};
                }
                in_.append(bytes.data(), static_cast<std::size_t>(count));
            }
            const std::string line = in_.substr(0, in_.find('\n'));
            in_.erase(0, line.size() + 1);
            return line;
        }
        [[nodiscard]] bool connected() const { return connected_; }

    private:
        int fd_;
        bool connected_ = false;
        std::string in_;
    };

    capture::test::Folder folder_;
    std::string path_ = folder_.file("control.sock");
    ControlSettings settings_;
    test::FakeEngine engine_;
    std::unique_ptr<Server> server_;
};

constexpr std::string_view kReload = R"({"command": "reload"})";
constexpr std::string_view kDone = R"({"return":"OK","message":"done"})";

TEST_F(ServerTest, AnswersARequest) {
    open();
    EXPECT_EQ(ask(path_, kReload, kPatience).answer, kDone);
}

TEST_F(ServerTest, OnlyItsOwnerMayOpenTheSocket) {
    open();
    struct stat there {};
    ASSERT_EQ(stat(path_.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777U, 0600U);
}

TEST_F(ServerTest, RemovesTheSocketAtTheEnd) {
    open();
    server_.reset();
    EXPECT_FALSE(std::filesystem::exists(path_));
    const Asked asked = ask(path_, kReload, kPatience);
    EXPECT_EQ(asked.failure, AskFailure::NoEngine);
    EXPECT_NE(asked.error.find("no engine listens at " + path_), std::string::npos);
}

TEST_F(ServerTest, MakesTheLastFolderOfThePath) {
    path_ = folder_.file("made/control.sock");
    open();
    EXPECT_EQ(ask(path_, kReload, kPatience).answer, kDone);
}

TEST_F(ServerTest, ReplacesASocketThatNobodyListensAt) {
    const auto address = UnixAddress::of(path_);
    const int left_behind = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(left_behind, address->get(), address->size()), 0);
    close(left_behind);
    open();
    EXPECT_EQ(ask(path_, kReload, kPatience).answer, kDone);
}

TEST_F(ServerTest, LeavesAnotherEngineAlone) {
    open();
    EXPECT_NE(refused().find("another engine listens there; set control.socket"),
              std::string::npos);
    EXPECT_EQ(ask(path_, kReload, kPatience).answer, kDone);
}

TEST_F(ServerTest, LeavesAFileAlone) {
    std::ofstream(path_) << "mine";
    settings_.socket = path_;
    EXPECT_NE(refused().find("no socket"), std::string::npos);
    EXPECT_EQ(std::filesystem::file_size(path_), 4U);
}

TEST_F(ServerTest, SaysWhyAPathCannotBe) {
    settings_.socket = folder_.file("no/such/folder.sock");
    EXPECT_NE(refused().find("No such file or directory"), std::string::npos);
    settings_.socket = std::string(200, 'a');
    EXPECT_NE(refused().find("1 to 107 bytes"), std::string::npos);
}

TEST_F(ServerTest, AnswersSeveralLinesInTheirOrder) {
    open();
    Raw client(path_);
    client.send("{\"command\": \"reload\"}\n\n{\"comm");
    EXPECT_EQ(client.line(), kDone);
    EXPECT_NE(client.line().find("NOK"), std::string::npos);
    client.send("and\": \"stop\"}\n");
    EXPECT_EQ(client.line(), kDone);
    EXPECT_EQ(engine_.asked, (std::vector<std::string>{"reload", "stop"}));
}

TEST_F(ServerTest, ALineMayBeAsLongAsTheSettingSays) {
    settings_.line_max = 300;
    open();
    const std::string longest = std::string(kReload) + std::string(300 - kReload.size(), ' ');
    Raw client(path_);
    client.send(longest + "\n");
    EXPECT_EQ(client.line(), kDone);
    client.send(longest + " \n");
    EXPECT_NE(client.line().find("control.line_max (300)"), std::string::npos);
    EXPECT_EQ(client.line(), "");
}

TEST_F(ServerTest, ALineWithoutEndIsRefused) {
    settings_.line_max = 300;
    open();
    Raw client(path_);
    client.send(std::string(301, 'x'));
    EXPECT_NE(client.line().find("control.line_max (300)"), std::string::npos);
    EXPECT_EQ(client.line(), "");
}

TEST_F(ServerTest, MoreClientsThanTheSettingSaysAreRefused) {
    settings_.clients_max = 2;
    open();
    Raw first(path_);
    Raw second(path_);
    for (Raw* client : {&first, &second}) {
        client->send("{\"command\": \"reload\"}\n");
        EXPECT_EQ(client->line(), kDone);
    }
    Raw third(path_);
    ASSERT_TRUE(third.connected());
    EXPECT_NE(third.line().find("control.clients_max (2)"), std::string::npos);
    EXPECT_EQ(third.line(), "");
}

TEST_F(ServerTest, AClientThatGoesAwayMakesRoom) {
    settings_.clients_max = 1;
    open();
    for (int i = 0; i < 20; ++i) {
        Raw client(path_);
        client.send("{\"command\":");
    }
    Asked asked;
    for (int i = 0; i < 1000 && asked.answer != kDone; ++i) {  // Until it has seen them go.
        asked = ask(path_, kReload, kPatience);
    }
    EXPECT_EQ(asked.answer, kDone);
}

TEST_F(ServerTest, IdleClientsLockNobodyOut) {
    settings_.clients_max = 2;
    open();
    const Raw first(path_);
    const Raw second(path_);
    Asked asked;
    for (int i = 0; i < 2000 && asked.answer != kDone; ++i) {  // Until they have been idle enough.
        usleep(10'000);
        asked = ask(path_, kReload, kPatience);
    }
    EXPECT_EQ(asked.answer, kDone);
}

TEST_F(ServerTest, AClientSilentInTheMiddleOfARequestIsClosed) {
    settings_.timeout = kMillisecond;
    open();
    Raw client(path_);
    client.send("{\"command\":");
    EXPECT_EQ(client.line(), "");
}

TEST_F(ServerTest, AClientThatReadsNothingStopsNobody) {
    engine_.listing.rows.resize(5'000);
    settings_.rows_max = 5'000;
    open();
    Raw client(path_);
    for (int i = 0; i < 5; ++i) {
        client.send("{\"command\": \"connections\"}\n");
    }
    EXPECT_EQ(ask(path_, kReload, kPatience).answer, kDone);
    for (int i = 0; i < 5; ++i) {
        EXPECT_GT(client.line().size(), 1'000'000U);
    }
}

}  // namespace
}  // namespace haka::control
