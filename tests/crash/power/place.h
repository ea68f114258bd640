/* A folder that is made to hold one state after another: only what differs is written. */
#ifndef TQ_POWER_PLACE_H
#define TQ_POWER_PLACE_H

#include "tests/crash/power/model.h"

void place_start(const char *root); /* an empty folder */
/* Afterwards whoever looks at the files may change them: the recorder, preloaded, tells. */
void place_put(const struct state *state);
void place_save(const struct state *state, const char *folder); /* a copy, elsewhere */

#endif
