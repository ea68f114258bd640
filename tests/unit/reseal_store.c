#include "tests/reseal.h"

#include "tests/unit/reseal_store.h"

bool reseal_catalog(sqlite3 *db) { return reseal(db, "main", "docs"); }
