package pipeline

import (
	"path/filepath"

	"github.com/chiron-faas/chiron/workflow"
)

// Files are the places of a project's artifacts, absolute.
type Files struct {
	// Profile and Plan lie beside the project file.
	Profile, Plan string
	// Dir is the folder of all the rest: .chiron.
	Dir string
	// Inputs says what Profile was measured from.
	Inputs string
	// Bundles has a folder for each wrap.
	Bundles string
	// ProfileSites hold the functions' requirements while they are measured.
	ProfileSites string
}

// FilesOf names the places of a project's artifacts.
func FilesOf(p *workflow.Project) Files {
	dir := filepath.Join(p.Dir, ".chiron")
	return Files{
		Profile:      filepath.Join(p.Dir, "profile.json"),
		Plan:         filepath.Join(p.Dir, "plan.json"),
		Dir:          dir,
		Inputs:       filepath.Join(dir, "profile.inputs.json"),
		Bundles:      filepath.Join(dir, "bundles"),
		ProfileSites: filepath.Join(dir, "profile-sites"),
	}
}
