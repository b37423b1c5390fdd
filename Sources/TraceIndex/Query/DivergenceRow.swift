// SPDX-License-Identifier: GPL-2.0-or-later

/// A row of the view `divergence` of two runs: a class of elements in which a vCPU's runs differ, and where they do first.
///
/// The comparison is its caller's: this room only shows it to queries (``QuerySession/init(_:divergence:)``).
public struct DivergenceRow: Sendable, Hashable {
    /// A place in one run.
    public struct Place: Sendable, Hashable {
        /// Transitions made.
        public var brctr: UInt64
        /// Instructions begun; nil if not known.
        public var icount: UInt64?
        /// The instruction; nil if not known.
        public var ip: UInt64?

        /// A place in one run.
        public init(brctr: UInt64, icount: UInt64? = nil, ip: UInt64? = nil) {
            self.brctr = brctr
            self.icount = icount
            self.ip = ip
        }
    }

    /// The vCPU.
    public var vcpu: UInt16
    /// The name of the vCPU's verdict: `control-flow`, `missing-event`, ….
    public var verdict: String
    /// The class that differs: `path`, `event`, …; nil if one run ended early.
    public var differenceClass: String?
    /// Whether nothing of the vCPU differs before.
    public var isFirst: Bool
    /// The place in the original.
    public var original: Place
    /// The place in the replay; nil if not known.
    public var replay: Place?
    /// The fields that differ: `to 0x1000 != 0x2000`.
    public var details: String

    /// Makes a row.
    public init(
        vcpu: UInt16, verdict: String, differenceClass: String?, isFirst: Bool, original: Place, replay: Place?,
        details: String
    ) {
        self.vcpu = vcpu
        self.verdict = verdict
        self.differenceClass = differenceClass
        self.isFirst = isFirst
        self.original = original
        self.replay = replay
        self.details = details
    }
}

/// The table that the view `divergence` reads. It is in the connection, not in a file.
enum DivergenceTable {
    static let name = "_divergence"

    static let definition =
        "CREATE TEMP TABLE \(name)(vcpu INT, verdict TEXT, class TEXT, is_first INT, orig_brctr INT, orig_icount INT, "
        + "orig_ip ADDRESS INT, replay_brctr INT, replay_icount INT, replay_ip ADDRESS INT, details TEXT)"

    static func fill(_ database: Database, _ rows: [DivergenceRow]) throws(SQLError) {
        let insert = try database.prepare("INSERT INTO \(name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for row in rows {
            insert.bind(1, Int64(row.vcpu))
            insert.bind(2, row.verdict)
            insert.bind(3, row.differenceClass)
            insert.bind(4, row.isFirst ? 1 : 0)
            bind(row.original, insert, from: 5)
            bind(row.replay, insert, from: 8)
            insert.bind(11, row.details)
            try insert.run()
        }
    }

    private static func bind(_ place: DivergenceRow.Place?, _ statement: Statement, from first: Int32) {
        statement.bind(first, bits: place?.brctr)
        statement.bind(first + 1, bits: place?.icount)
        statement.bind(first + 2, bits: place?.ip)
    }
}
