/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest wrote to its console, for people: a CONSOLE record each time
 * that xenconsoled's index moves over it.  In a replay nobody reads the
 * console's ring; its index moves because the log has the writes of the
 * recording's xenconsoled.  So a run and its replay give the same bytes.
 */
#include "private.h"
#include <public/io/console.h>

void ttd_console_track(struct ttd_session *s)
{
    const struct xencons_interface *ring = s->area[TTD_AREA_CONSOLE].mapping;

    if ( ring )
        s->console_at = ring->out_cons;
}

/* all: what nobody has read yet, too. */
void ttd_console_put(struct ttd_session *s, bool all)
{
    const struct xencons_interface *ring = s->area[TTD_AREA_CONSOLE].mapping;
    struct ttd_record record;
    uint32_t at = s->console_at, end;

    if ( !ring )
        return;
    end = read_atomic(all ? &ring->out_prod : &ring->out_cons);
    if ( (int32_t)(end - at) <= 0 )
        return;
    if ( end - at > sizeof(ring->out) )
        at = end - sizeof(ring->out);
    s->console_at = end;

    ttd_new_record(s, &record, TTD_CONSOLE);
    while ( at != end )
    {
        uint32_t place = at % sizeof(ring->out);

        record.length = min_t(uint32_t, end - at, sizeof(ring->out) - place);
        record.length = min(record.length, TTD_PAYLOAD_MAX);
        if ( !ttd_put(s, &record, ring->out + place) )
            return;
        at += record.length;
    }
}
