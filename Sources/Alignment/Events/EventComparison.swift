// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LogFormat

/// Compares single records of two event streams, with the benign rules that allow some differences.
struct EventComparison {
    let stream: LogStream
    let projection: EventProjection
    /// The rules, with the number of differences that each allowed.
    private(set) var rules: BenignRules

    init(_ stream: LogStream, _ projection: EventProjection, _ rules: BenignRules) {
        self.stream = stream
        self.projection = projection
        self.rules = rules
    }

    /// Whether the next records of both sides have the same kind and position.
    func isSamePlace(_ a: borrowing EventSide, _ b: borrowing EventSide) -> Bool {
        let kind = a.batch.kind(a.place)
        guard kind == b.batch.kind(b.place), a.clock == b.clock else { return false }
        let (bitsA, bitsB) = (a.batch.validity(a.place), b.batch.validity(b.place))
        let validity = projection.validity(bitsA, against: bitsB, of: kind)
        guard validity == projection.validity(bitsB, against: bitsA, of: kind) else { return false }
        if validity.contains(.icount),
            a.batch.icount(a.place) &- a.recordSkew.icount != b.batch.icount(b.place) &- b.recordSkew.icount
        {
            return false
        }
        return !validity.contains(.ip) || a.batch.ip(a.place) == b.batch.ip(b.place)
    }

    /// The difference between two state digests at one place; nil if there is none.
    func stateDifference(_ a: borrowing EventSide, _ b: borrowing EventSide) -> FirstDifference? {
        guard !EventFields.isSameState(a.batch, a.place, b.batch, b.place) else { return nil }
        return difference(.state, a, b)
    }

    /// The difference between the contents of two events at one place; nil if there is none, or a rule allows it.
    mutating func payloadDifference(_ a: borrowing EventSide, _ b: borrowing EventSide) -> FirstDifference? {
        let kind = a.batch.kind(a.place)
        let validity = projection.validity(a.batch.validity(a.place), against: b.batch.validity(b.place), of: kind)
        guard !isSamePayload(a, b, kind, validity) else { return nil }
        let addresses = (a.batch[a.place].address, b.batch[b.place].address)
        let address = addresses.0 == addresses.1 ? addresses.0 : nil
        guard !rules.allowContents(kind, address: address) else { return nil }
        return difference(.payload, a, b)
    }

    private func difference(
        _ differenceClass: FirstDifference.Class, _ a: borrowing EventSide, _ b: borrowing EventSide
    ) -> FirstDifference {
        let (x, y) = (a.batch[a.place], b.batch[b.place])
        return FirstDifference(
            differenceClass: differenceClass, clocks: a.clock..<(a.clock == .max ? a.clock : a.clock + 1),
            original: .event(x), replay: .event(y), fields: EventFields.differences(x, y, projection), stream: stream)
    }

    private mutating func isSamePayload(
        _ a: borrowing EventSide, _ b: borrowing EventSide, _ kind: EventKind, _ validity: EventValidity
    ) -> Bool {
        let (x, y) = (a.batch.payload(a.place), b.batch.payload(b.place))
        let sizeX = projection.payloadSize(x.count, of: kind, validity)
        guard sizeX == projection.payloadSize(y.count, of: kind, validity) else { return false }
        if sizeX > 0, let p = x.baseAddress, let q = y.baseAddress, memcmp(p, q, sizeX) != 0 { return false }
        let hasAux = !validity.isDisjoint(with: [.rcx, .registers])
        if hasAux, a.batch.aux(a.place) != b.batch.aux(b.place) { return false }
        let (infoA, infoB) = (a.batch.info(a.place), b.batch.info(b.place))
        return infoA == infoB || !projection.comparesInfo(of: kind) || rules.allowInfo(kind, infoA, infoB)
    }
}
