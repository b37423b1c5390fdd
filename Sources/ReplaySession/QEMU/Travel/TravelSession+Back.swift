// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

extension TravelSession {
    /// Goes back by one instruction or delivery. Returns false at the beginning of the run.
    public func stepBack() throws -> Bool {
        guard current > EnginePlace(icount: 0) else { return false }
        let origin = current
        if origin.deliveries > 0 {
            try go(to: before(origin))
            // The step out of a halt has no state between.
            if current < origin || origin.icount == 0 { return true }
        }
        try go(to: before(EnginePlace(icount: origin.icount)))
        return true
    }

    /// One instruction or delivery before a place.
    func before(_ place: EnginePlace) -> EnginePlace {
        if place.deliveries > 0 { return EnginePlace(icount: place.icount, deliveries: place.deliveries - 1) }
        guard place.icount > 0 else { return place }
        let count = place.icount - 1
        return EnginePlace(icount: count, deliveries: places.deliveries(at: count).count)
    }

    /// Goes back to the last position at which the instruction at one of some linear addresses begins.
    ///
    /// The log shows the stretch of instructions that contains it; QEMU runs to the stretch and stops at the address.
    /// Returns false, at the beginning of the run, if there is none.
    public func runBack(to addresses: Set<UInt64>) throws -> Bool {
        let origin = current
        let here = try position()
        guard var before = here.brctr, var ip = here.ip else {
            throw PlaceError("the log has no branches: what ran before is not known")
        }
        // An earlier iteration of a repeated instruction.
        if addresses.contains(ip), origin.icount > 0, try isRepeated(at: ip) {
            _ = try stepBack()
            if try linearIP() == ip { return true }
            try go(to: origin)
        }
        while let stretch = try lastStretch(with: Array(addresses), before: before, ip: ip) {
            let start = try places.destination(brctr: stretch.brctr)
            let next =
                stretch.brctr < places.end.brctr ? try places.destination(brctr: stretch.brctr &+ 1).engine : origin
            let bound = min(origin, next)
            for address in stretch.addresses {
                try go(to: start)
                if try runForward(to: address, before: bound) {
                    try goToLastIteration(at: address, before: bound)
                    return true
                }
            }
            (before, ip) = (stretch.brctr, start.position.ip ?? 0)
        }
        try go(to: EnginePlace(icount: 0))
        return false
    }

    /// Runs to the next execution of an address before a place. Returns false if there is none.
    private func runForward(to address: UInt64, before bound: EnginePlace) throws -> Bool {
        if try linearIP() == address { return current < bound }
        guard current.icount < bound.icount else { return false }
        let breakpoint = "0,\(String(address, radix: 16)),1"
        try client.request("Z" + breakpoint)
        try side.setBreak(at: bound.icount)
        try client.resume(Array("c".utf8))
        while try client.stop(within: 0.2) == nil { try onWait(side.icount) }
        try client.request("z" + breakpoint)
        try? side.removeBreak()
        try look()
        return try current < bound && linearIP() == address
    }

    /// From the first iteration of a repeated instruction to its last one before a place.
    private func goToLastIteration(at address: UInt64, before bound: EnginePlace) throws {
        guard try isRepeated(at: address), let left = try registers()["RCX"], left > 0 else { return }
        let first = current
        let last = min(first.icount &+ left, bound.icount > 0 ? bound.icount - 1 : 0)
        guard last > first.icount else { return }
        try go(to: EnginePlace(icount: last))
        if try linearIP() == address { return }
        // A comparison ended it early.
        try go(to: first)
        var best = first
        while current < bound, try linearIP() == address {
            best = current
            try go(to: EnginePlace(icount: current.icount + 1))
        }
        try go(to: best)
    }

    /// Whether a string instruction with a repeat prefix is at an address.
    private func isRepeated(at address: UInt64) throws -> Bool {
        let answer = try client.request("m\(String(address, radix: 16)),4")
        let bytes = stride(from: 0, to: answer.count - 1, by: 2).compactMap { index in
            UInt8(answer.dropFirst(index).prefix(2), radix: 16)
        }
        let prefixes: Set<UInt8> = [0xf2, 0xf3, 0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]
        guard bytes.contains(where: { $0 == 0xf2 || $0 == 0xf3 }) else { return false }
        let code = bytes.drop { prefixes.contains($0) || (0x40...0x4f).contains($0) }.first ?? 0
        return (0xa4...0xa7).contains(code) || (0xaa...0xaf).contains(code) || (0x6c...0x6f).contains(code)
    }
}
