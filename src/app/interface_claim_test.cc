#include "app/interface_claim.h"

#include <sched.h>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace haka::app {
namespace {

// What another process finds, which isn't a child of this one: claimed at all?
bool others_find_it_claimed() {
    const pid_t child = fork();
    if (child == 0) {
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            _exit(claimed_by("lo") ? 1 : 0);
        }
        int status = 0;
        waitpid(grandchild, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) == 1;
}

TEST(InterfaceClaimTest, HoldsForOthersUntilItEnds) {
    if (unshare(CLONE_NEWNET) != 0) {
        GTEST_SKIP() << "no network namespaces here";
    }
    EXPECT_FALSE(others_find_it_claimed());
    {
        const InterfaceClaim claim({.interface = "lo", .peer = "nowhere", .queue = {}});
        for (int often = 0; often < 20; ++often) {
            EXPECT_TRUE(others_find_it_claimed());
        }
        EXPECT_FALSE(claimed_by("lo")) << "it is our own";
        EXPECT_FALSE(claimed_by("nowhere"));
    }
    EXPECT_FALSE(others_find_it_claimed());
    const InterfaceClaim looks_only({.interface = "lo", .peer = "", .queue = {}});
    EXPECT_FALSE(others_find_it_claimed());
}

}  // namespace
}  // namespace haka::app
