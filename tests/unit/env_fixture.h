/* A folder for each test of an environment. */
#ifndef ENV_FIXTURE_H
#define ENV_FIXTURE_H

#include "tests/unit/segment_fixture.h"

static struct folder folder;

static inline int setup(void **state) {
    (void)state;
    folder_make(&folder);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    remove_tree(folder.path);
    return 0;
}

#endif
