// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import ReplaySession

/// The text of places.
struct PlaceTests {
    private static let valid: [(String, Place)] = [
        ("0", .transitions(0)), ("1,179,553", .transitions(1_179_553)), ("0x10", .transitions(16)),
        ("@42", .instructions(42)), ("@0xff", .instructions(255)), ("event:0", .event(0)),
        ("main", .symbol("main", nth: 1)), ("do_sys_open:3", .symbol("do_sys_open", nth: 3)),
        ("std::vector::push_back:2", .symbol("std::vector::push_back", nth: 2)),
        ("std::vector::push_back", .symbol("std::vector::push_back", nth: 1)),
        ("*0x200e4c", .address(0x200e4c, nth: 1)), ("*0x200e4c:7", .address(0x200e4c, nth: 7)),
        ("console:12", .console(line: 12)), ("divergence", .divergence), ("end", .end(minus: 0)),
        ("end-20", .end(minus: 20)), ("18446744073709551615", .transitions(.max)),
    ]

    @Test(arguments: valid) func placesAreReadAndWritten(text: String, place: Place) throws {
        #expect(Place(text) == place)
        #expect(Place(place.description) == place)
    }

    @Test(arguments: [
        "", "@", "@x", "12x", "0x", "event:", "event:x", "console:0", "console:", "end-", "end-x", "main:0", "main:",
        ":3", "*",
        "*main", "*0x10:0", "18446744073709551616", "@-1", "event:-1",
    ])
    func otherTextIsNoPlace(text: String) {
        #expect(Place(text) == nil)
    }
}
