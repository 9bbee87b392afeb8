; The Windows installer: for one user, without asking for rights. Inno Setup 6.3 or newer.
;
;     python packaging/windows/make_installer.py
;
; writes registry.iss beside the bundle, from the one list of file types, and compiles this with
; the definitions AppVersion, Bundle (its folder) and Registry (the path of registry.iss).

#define AppId "checkpoint-inspector"
#define AppName "Checkpoint Inspector"
#define Program AppId + ".exe"

[Setup]
AppId={#AppId}
AppName={#AppName}
AppVersion={#AppVersion}
AppVerName={#AppName} {#AppVersion}
AppPublisher=Checkpoint Inspector contributors
DefaultDirName={autopf}\{#AppName}
DefaultGroupName={#AppName}
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0.17763
LicenseFile=..\..\LICENSE
SetupIconFile=..\..\resources\icons\{#AppId}.ico
UninstallDisplayIcon={app}\{#Program}
UninstallDisplayName={#AppName}
OutputBaseFilename={#AppId}-{#AppVersion}-windows-x64-setup
OutputDir={#Bundle}\..
Compression=lzma2/max
SolidCompression=yes
WizardStyle=modern
CloseApplications=yes
; Explorer is told that types of files have changed.
ChangesAssociations=yes

[Languages]
Name: "english"; MessagesFile: "compiler:Default.isl"

[Tasks]
Name: "opens"; Description: "Open checkpoints that nothing else opens by a double click"
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; Flags: unchecked

[InstallDelete]
; Of an older version nothing stays that the new one would import.
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "{#Bundle}\*"; DestDir: "{app}"; Excludes: "*.nbi,*.nbc"; Flags: ignoreversion recursesubdirs createallsubdirs

[Icons]
Name: "{autoprograms}\{#AppName}"; Filename: "{app}\{#Program}"
Name: "{autodesktop}\{#AppName}"; Filename: "{app}\{#Program}"; Tasks: desktopicon

[Run]
Filename: "{app}\{#Program}"; Description: "{cm:LaunchProgram,{#AppName}}"; Flags: nowait postinstall skipifsilent

; [Registry], and what is taken away only where it is still ours.
#include Registry
