"""Published conversations (MF-Skills, AF-Think, AudioSkills as JSON) as a source of MF-Skills and MF-Think."""
