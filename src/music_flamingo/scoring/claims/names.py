"""Names of instruments, drums, genres, languages and peoples, in small letters: what a text may name by one word.

Alternatives of patterns, for `WordScanner`. A name that is not here is not read as a claim, so breadth matters more than
order; names of one thing in several languages stand together.
"""

INSTRUMENTS = (
    # keyboards
    "piano(?!ss)|pianos|pianist|pianoforte|klavier|grand piano|upright piano|electric piano|rhodes|wurlitzer|clavinet|clavichord|harpsichord|cembalo"
    "|celesta|celeste|organ|organist|hammond|harmonium|keyboards?|keyboardist|keys player|synth(?:esi[sz]ers?|s)?|synth (?:pads?|lead|bass)|mellotron|melodica"
    "|accordions?|accordionist|concertina|bandoneon|hurdy gurdy|toy piano|music box|sampler"
    # plucked
    "|guitars?(?: (?:is|are|sounds) (?:an? )?(?:acoustic|electric|distorted|nylon strung|unplugged)(?: (?:one|guitar))?)?|(?:acoustic|electric|classical|nylon string|steel string|12 string|slide|lap steel|pedal steel|spanish|rhythm|lead|bass|baritone|distorted|clean|resonator) guitars?"
    "|(?:electric|acoustic|upright|fretless|synth) bass(?! (?:drum|clarinet|guitar|voice))|guitarists?|guitarra|gitarre|guitare|chitarra|pedal steel|lap steel|dobro|banjos?|banjolele|mandolins?|mandola|ukuleles?|bouzouki|oud|lutes?|lutenist|theorbo|zithers?|autoharp|kora|ngoni"
    "|guzheng|guqin|koto|shamisen|pipa|erhu|sitars?|sarod|sarangi|tanpura|tambura|veena|balalaika|charango|cuatro|cavaquinho|harps?|harpist|lyre|psaltery|dulcimer|cimbalom|santur|kalimba|mbira|thumb piano"
    "|plucked strings"
    # bowed
    "|violins?|violinists?|geige|violon|violino|fiddles?|fiddlers?|viola(?! da)|violas|violist|cellos?|celli|cellist|violoncello|viola da gamba|viol|double ?bass|upright bass|contrabass"
    "|string (?:section|quartet|orchestra|ensemble|trio|band|pads?)|strings|bowed strings|nyckelharpa|hardanger fiddle"
    # winds
    "|whistles?(?! (?:while|of))|(?:tin|penny|low) whistles?|flutes?|flautist|flutist|piccolo|recorder|recorders|fife|panpipes?|pan flute|ocarina|shakuhachi|dizi|ney|bansuri|oboes?|oboist|cor anglais|english horn|bassoons?|clarinets?|clarinettist|clarinetist"
    "|bass clarinet|sax(?:ophone)?s?|(?:alto|tenor|baritone|soprano) sax(?:ophone)?s?|saxophonist|duduk|shawm|crumhorn|bagpipes?|uilleann pipes|pipes|bombarde|didgeridoo|woodwinds?|wind (?:section|instruments?|ensemble)|harmonicas?|mouth organ"
    "|trumpets?|trumpeter|cornets?|flugelhorn|bugle|trombones?|trombonist|horns?|french horns?|horn section|tubas?|sousaphone|euphonium|brass(?: section| band)?"
    "|sackbuts?|serpent player|rackett|cornetto|alphorns?|alpenhorn|shofar|conch|kazoo|jew'?s harp|jaw harp|nose flute|suona|shana?i|shehnai|zurna|mizmar|gaida|dudelsack|smallpipes|sheng|khene|hulusi|quena|zampona|flageolet|chanter|querflote|flauta|flauto|trompete|trompeta|tromba|klarinette|clarinete|posaune"
    # lutes, zithers and bows of the world
    "|guqin|yangqin|gayageum|geomungo|haegeum|dan bau|biwa|morin khuur|horse head fiddle|rebab|rebec|saz|baglama|qanun|kanun|setar|kemenche|kamancheh|esraj|dilruba|ektara|santoor|langeleik|kantele|crwth|cittern|vihuela|gittern|bandurria|tres guitar|requinto|guitarron|bajo sexto|tiple|domra|tamburica|cobza|viola d'amore|baryton|arpeggione|hammered dulcimer|swarmandal|surbahar|rudra veena"
    # electric and electronic
    "|moog|minimoog|korg|oberheim|prophet 5|juno 60|dx7|mellotron|vocoders?|talk ?box|ondes martenot|loop(?:er| station)|laptop|modular (?:synth\\w*|system)|arpeggiator|portative organ|regal organ|string machine"
    # low, tuned percussion, groups
    "|bass(?:line|(?: line| player)|ist)?(?! (?:voice|vocals?|singer|vocalist|clef|notes?|clarinet|drums?|guitar|trombone))|sub bass|808s?|xylophone|marimba|vibraphone|glockenspiel|mallets|tubular bells|bells|chimes|handbells|bell|(?:church|sleigh|jingle|tinkle|wind) (?:bells?|chimes?)|chime|bell tree|mark tree|crotales|singing bowls?|glass harmonica|hand ?pans?|hang drum|steel ?pans?|steel drums?|balafon|angklung|tongue drum|tuning fork|gamelan|gongs?|theremin|musical saw|turntables|scratching|electronics"
    "|orchestra|orchestral|big band|chamber group|duo|duet|trio|quartet|quintet|sextet|septet|octet"
)  # fmt: skip
DRUMS = (
    r"drums?|drum ?kit|drum set|drum ?machines?|drum ?loops?|drum ?pads?|drummers?|drumming|drum ?beat|percussion|percussive|percussionists?|kick|bass drums?|snares?|hi ?hats?|cymbals?|ride cymbal|crash cymbal|tom toms?|toms|backbeat"
    r"|bongos?|congas?|tambourines?|shakers?|maracas|timpani|timpanist|kettle ?drums?|beatbox\w*|rimshots?|bateria|baterista|tambor\w*|tambura drum|schlagzeug\w*|trommeln?|pauken|batterie|batteria|batteur"
    r"|percusion|percussioni|percussions|schlagwerk|cajon|cowbell|wood ?blocks?|claves|guiro|triangles?(?! (?:relation|of))|castanets|hand ?claps?|clapping|breakbeats?|bodhran|djembe|tabla|dhol|dholak|mridangam|taiko|darbuka|doumbek|frame drum"
    r"|surdo|pandeiro|cuica|agogo(?: bells?)?|berimbau|caxixi|repinique|zabumba|atabaque|tamborim|vibraslap|cabasa|shekere|flexatone|temple blocks?|octobans|roto ?toms?|floor tom|side drum|slit drum|drumsticks?|metronome click|maraca|castanet|ratchets?|udu|dundun|talking drum|sabar|(?:rack|melodic) toms?|daf|riq|kanjira|ghatam|pakhawaj|damaru|bendir|tar drum|lambeg|tamborine|stomping|foot stomps?|body percussion|timbales|washboard|brush(?:es|ed)(?: (?:snare|drums?|kit))?|paradiddles?|rattles?|finger snaps?|stomps?|808 (?:kick|drums?)|beat machine"
)  # fmt: skip
GENRES = (
    "jazz(?:y)?|(?:smooth|free|acid|latin|modern|cool|gypsy) jazz|bebop|be bop|hard bop|dixieland|big band swing|blues(?:y)?|boogie(?: woogie)?|rhythm and blues|rhythm & blues|r&b|rnb|neo soul|soul(?:ful)?(?: music| song| ballad)?|motown|funk(?:y)?|disco"
    "|rock(?: and roll| n roll| 'n' roll)?|(?:hard|soft|indie|punk|folk|prog|progressive|psychedelic|alternative|classic|garage|southern|glam|art|post|surf|math|country|yacht) rock|rockabilly|pop(?! (?:up|out))|(?:synth|indie|dream|dance|power|teen|electro|folk|k|j|hyper|brit|art|chamber|bedroom) pop|synthpop|kpop|jpop|hyperpop|britpop|electropop|shoegaze|grunge|emo|punk|ska(?: punk)?|reggae(?:ton)?|dub|dancehall|rocksteady"
    "|(?:heavy|death|black|thrash|speed|doom|power|nu) metal|metal(?: music| song| track)|metalcore|hardcore|hip hop|hiphop|rap(?: music| song| track)?|trap(?: music| beat)?|drill music|grime|lo fi|lofi|boom bap|trip ?hop|chill ?hop"
    "|techno|house|(?:deep|tech|progressive|acid) house|trance|dubstep|drum and bass|drum n bass|drum 'n' bass|dnb|jungle|edm|electronica?|electronic dance|electro|eurodance|synthwave|vaporwave|ambient|chill ?out|chillwave|downbeat electronica|idm|industrial (?:music|metal|rock)|uk garage|hardstyle|psytrance|breakcore|gabber|footwork|big beat|italo disco|hi nrg|new wave|no wave|krautrock|sludge|grindcore|deathcore|djent|slowcore|sadcore|screamo|moombahton|glitch hop|phonk|crunk|new jack swing|quiet storm|drone music|noise music|dance music|musique concrete|plunderphonics|post bop|jazz fusion|fusion music|psychobilly|skiffle|merseybeat|glam|power ballad|cantopop|mandopop|city pop|garage music|juke music|industrial music"
    "|country(?: and western| music| song| ballad)?|western swing|honky tonk|bluegrass|americana|folk(?:sy)?|old time|singer songwriter|sea shant(?:y|ies)|shant(?:y|ies)|celtic|klezmer|polka|tarantella|fado|flamenco|mariachi|ranchera|norteno|corrido|cumbia|salsa|merengue|bachata|bossa nova|bossa|samba|tango|milonga|rumba|mambo|cha cha(?: cha)?|bolero|son cubano|calypso|soca|zouk|afrobeats?|highlife|soukous|rai music|qawwali|raga|rai|bhangra|bollywood|timba|charanga|danzon|guaracha|plena|bomba|mento|ragga|lovers rock|kompa|kwaito|amapiano|gqom|kizomba|semba|kuduro|morna|juju music|fuji music|hiplife|mbalax|taarab|benga|chimurenga|mbaqanga|gnawa|chaabi|dabke|arabesk|rebetiko|rembetika|laiko|manele|chalga|turbo ?folk|schlager|chanson|musette|volksmusik|landler|krakowiak|polska|schottische|zydeco|cajun music|swamp pop|forro|choro|pagode|baiao|tropicalia|mpb|vallenato|joropo|tejano|banda music|dembow|gamelan music|enka|gagaku"
    "|classical|baroque|renaissance|medieval|romantic (?:era|period|style|piece|music)|impressionis(?:t|tic|m)|minimalis(?:t|m)|avant garde|neoclassical|chamber music|orchestral music|symphon(?:y|ic)|concerto|sonata(?! form)|etude|nocturne|prelude|fugue|toccata|chorale|requiem|motet|madrigal|arias?|oratorio|lieder|operatic|opera|operetta|ballet|gregorian|plainchant"
    "|gospel|hymns?|spirituals?|worship|christmas (?:carol|music|song)|carol|cantata|serialis(?:t|m)|early music|children's (?:music|song)|traditional music|theme (?:music|song)|background music|wedding (?:music|march)|jingle|contra dance|morris dance|lullab(?:y|ies)|nursery rhyme|ragtime|stride|swing(?: music| era| tune)|latin (?:music|pop|rhythms?|groove|beat|dance|feel|flavou?r)|new age|soundtrack|film score|cinematic|video game music|chiptune|8 bit|musical theat(?:re|er)|show tune|broadway|cabaret|vaudeville|barbershop|doo wop|exotica|lounge|easy listening|muzak|world music|tropical|jig|reels?|hornpipe|strathspey|gavotte|sarabande|gigue|bourree|allemande|courante|pavane|galliard|csardas|polonaise|habanera|military march|marching band"
)  # fmt: skip
LANGUAGES = {
    "english": "en", "spanish": "es", "french": "fr", "german": "de", "italian": "it", "portuguese": "pt", "latin": "la", "russian": "ru",
    "japanese": "ja", "chinese": "zh", "mandarin": "zh", "korean": "ko", "hindi": "hi", "arabic": "ar", "turkish": "tr", "greek": "el",
    "hebrew": "he", "swedish": "sv", "norwegian": "no", "danish": "da", "finnish": "fi", "dutch": "nl", "polish": "pl", "czech": "cs",
    "hungarian": "hu", "romanian": "ro", "ukrainian": "uk", "welsh": "cy", "irish": "ga", "gaelic": "ga", "swahili": "sw", "zulu": "zu",
    "yoruba": "yo", "tamil": "ta", "bengali": "bn", "urdu": "ur", "punjabi": "pa", "persian": "fa", "farsi": "fa", "vietnamese": "vi",
    "thai": "th", "indonesian": "id", "malay": "ms", "catalan": "ca", "basque": "eu", "icelandic": "is", "serbian": "sr", "croatian": "hr",
    "bulgarian": "bg", "yiddish": "yi", "hawaiian": "haw", "quechua": "qu", "cantonese": "yue", "tagalog": "tl",
}  # fmt: skip
"""English name of a language -> its code (ISO 639)."""
PEOPLES = (
    "irish|scottish|english|welsh|breton|french|spanish|portuguese|italian|german|austrian|viennese|bavarian|hungarian|romanian|bulgarian|balkan|greek|turkish|arabic|arabian|persian|egyptian|moroccan|african(?: american)?|west african|east african|ethiopian|malian|cuban|brazilian|argentin(?:e|ian)|mexican"
    "|andean|peruvian|caribbean|jamaican|hawaiian|american|appalachian|cajun|creole|native american|indian|hindustani|carnatic|pakistani|chinese|japanese|korean|thai|indonesian|javanese|balinese|mongolian|tibetan|russian|ukrainian|polish|czech|bohemian|slavic|scandinavian|nordic|swedish|norwegian|danish|finnish|icelandic|jewish|yiddish|gypsy|romani|middle eastern|oriental|asian|eastern european|hispanic"
)  # fmt: skip
"""Adjectives that say where music comes from; as an instrument's or a chord's name (`French horn`) they say nothing."""
