// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "SRAT"    [System Resource Affinity Table]
[004h 0004   4]                 Table Length : 000000F8
[008h 0008   1]                     Revision : 03
[009h 0009   1]                     Checksum : 57
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   4]               Table Revision : 00000001
[028h 0040   8]                     Reserved : 0000000000000000

[030h 0048   1]                Subtable Type : 00 [Processor Local APIC/SAPIC Affinity]
[031h 0049   1]                       Length : 10

[032h 0050   1]      Proximity Domain Low(8) : 00
[033h 0051   1]                      Apic ID : 00
[034h 0052   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
[038h 0056   1]              Local Sapic EID : 00
[039h 0057   3]    Proximity Domain High(24) : 000000
[03Ch 0060   4]                 Clock Domain : 00000000

[040h 0064   1]                Subtable Type : 00 [Processor Local APIC/SAPIC Affinity]
[041h 0065   1]                       Length : 10

[042h 0066   1]      Proximity Domain Low(8) : 01
[043h 0067   1]                      Apic ID : FE
[044h 0068   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
[048h 0072   1]              Local Sapic EID : 00
[049h 0073   3]    Proximity Domain High(24) : 000000
[04Ch 0076   4]                 Clock Domain : 00000000

[050h 0080   1]                Subtable Type : 02 [Processor Local x2APIC Affinity]
[051h 0081   1]                       Length : 18

[052h 0082   2]                    Reserved1 : 0000
[054h 0084   4]             Proximity Domain : 00000001
[058h 0088   4]                      Apic ID : 000000FF
[05Ch 0092   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
[060h 0096   4]                 Clock Domain : 00000000
[064h 0100   4]                    Reserved2 : 00000000

[068h 0104   1]                Subtable Type : 02 [Processor Local x2APIC Affinity]
[069h 0105   1]                       Length : 18

[06Ah 0106   2]                    Reserved1 : 0000
[06Ch 0108   4]             Proximity Domain : 0000012C
[070h 0112   4]                      Apic ID : 00001000
[074h 0116   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
[078h 0120   4]                 Clock Domain : 00000000
[07Ch 0124   4]                    Reserved2 : 00000000

[080h 0128   1]                Subtable Type : 01 [Memory Affinity]
[081h 0129   1]                       Length : 28

[082h 0130   4]             Proximity Domain : 00000000
[086h 0134   2]                    Reserved1 : 0000
[088h 0136   8]                 Base Address : 0000000000000000
[090h 0144   8]               Address Length : 0000000080000000
[098h 0152   4]                    Reserved2 : 00000000
[09Ch 0156   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
                               Hot Pluggable : 0
                                Non-Volatile : 0
[0A0h 0160   8]                    Reserved3 : 0000000000000000

[0A8h 0168   1]                Subtable Type : 01 [Memory Affinity]
[0A9h 0169   1]                       Length : 28

[0AAh 0170   4]             Proximity Domain : 00000000
[0AEh 0174   2]                    Reserved1 : 0000
[0B0h 0176   8]                 Base Address : 0000000100000000
[0B8h 0184   8]               Address Length : 0000000040000000
[0C0h 0192   4]                    Reserved2 : 00000000
[0C4h 0196   4]        Flags (decoded below) : 00000001
                                     Enabled : 1
                               Hot Pluggable : 0
                                Non-Volatile : 0
[0C8h 0200   8]                    Reserved3 : 0000000000000000

[0D0h 0208   1]                Subtable Type : 01 [Memory Affinity]
[0D1h 0209   1]                       Length : 28

[0D2h 0210   4]             Proximity Domain : 0000012C
[0D6h 0214   2]                    Reserved1 : 0000
[0D8h 0216   8]                 Base Address : 0000000140000000
[0E0h 0224   8]               Address Length : 0000000000001000
[0E8h 0232   4]                    Reserved2 : 00000000
[0ECh 0236   4]        Flags (decoded below) : 00000003
                                     Enabled : 1
                               Hot Pluggable : 1
                                Non-Volatile : 0
[0F0h 0240   8]                    Reserved3 : 0000000000000000

Raw Table Data: Length 248 (0xF8)

    0000: 53 52 41 54 F8 00 00 00 03 57 42 45 52 54 48 20  // SRAT.....WBERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00  // ................
    0030: 00 10 00 00 01 00 00 00 00 00 00 00 00 00 00 00  // ................
    0040: 00 10 01 FE 01 00 00 00 00 00 00 00 00 00 00 00  // ................
    0050: 02 18 00 00 01 00 00 00 FF 00 00 00 01 00 00 00  // ................
    0060: 00 00 00 00 00 00 00 00 02 18 00 00 2C 01 00 00  // ............,...
    0070: 00 10 00 00 01 00 00 00 00 00 00 00 00 00 00 00  // ................
    0080: 01 28 00 00 00 00 00 00 00 00 00 00 00 00 00 00  // .(..............
    0090: 00 00 00 80 00 00 00 00 00 00 00 00 01 00 00 00  // ................
    00A0: 00 00 00 00 00 00 00 00 01 28 00 00 00 00 00 00  // .........(......
    00B0: 00 00 00 00 01 00 00 00 00 00 00 40 00 00 00 00  // ...........@....
    00C0: 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00  // ................
    00D0: 01 28 2C 01 00 00 00 00 00 00 00 40 01 00 00 00  // .(,........@....
    00E0: 00 10 00 00 00 00 00 00 00 00 00 00 03 00 00 00  // ................
    00F0: 00 00 00 00 00 00 00 00                          // ........
