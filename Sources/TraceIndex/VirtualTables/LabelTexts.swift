// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat

/// The names of labels as C strings that are never freed.
struct LabelTexts: @unchecked Sendable {
    static let shared = LabelTexts()

    private let texts: UnsafeMutablePointer<(start: UnsafePointer<CChar>, count: Int32)>

    private init() {
        texts = .allocate(capacity: 256)
        for value in UInt8.min ... .max {
            let name = Array(BranchLabel(rawValue: value).name.utf8CString)
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.count)
            copy.initialize(from: name, count: name.count)
            (texts + Int(value)).initialize(to: (UnsafePointer(copy), Int32(name.count - 1)))
        }
    }

    @inline(__always)
    func text(_ label: UInt8) -> (start: UnsafePointer<CChar>, count: Int32) { texts[Int(label)] }
}
